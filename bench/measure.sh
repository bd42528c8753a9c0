# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: how a command is measured, and how a result is noted.

# need PROGRAM[:PACKAGE]...
need() {
    local word
    for word in "$@"; do
        command -v "${word%%:*}" >/dev/null || { echo "${word%%:*} is missing: apt-get install ${word#*:}" >&2; exit 4; }
    done
}

say() { printf '%(%T)T  %s\n' -1 "$*" >&2; }

running=
stop_running() {
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || true
        wait "$running" 2>/dev/null || true
    fi
}

# measure COMMAND...: sets $took (seconds). A command that fails ends the run with the last lines that it wrote.
measure() {
    begin "$@"
    end "$@"
}
begin() {
    begun=$EPOCHREALTIME
    "$@" </dev/null >"$work/output" 2>"$work/errors" &
    running=$!
}
end() {
    local status=0
    wait "$running" || status=$?
    running=
    took=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }')
    if [ $status -ne 0 ]; then
        { echo "'$*' exited with $status:"; tail -n 20 "$work/output" "$work/errors"; } >&2
        exit 1
    fi
    say "    $took s: ${1##*/} ${2:-}"
}

# As measure, for kiln, and raises $peak_kib to the most memory that the process kiln itself had. The kernel keeps the
# peak (VmHWM), so that only a rise in its last 50 ms can be missed; wait4's figure would be that of the
# largest child.
peak_kib=0
exec {never}<> <(:)
measure_kiln() {
    local key value seen='' peak=0
    begin "$kiln" "$@"
    while seen='' && [ -e "/proc/$running/status" ]; do
        while read -r key value _; do
            if [ "$key" = VmHWM: ]; then seen=$value; fi
        done 2>/dev/null < "/proc/$running/status" || true
        if [ -z "$seen" ]; then break; fi # it has ended
        peak=$seen
        read -r -t 0.05 -u "$never" || true
    done
    end "$kiln" "$@"
    say "    at most $((peak / 1024)) MiB"
    if [ "$peak" -gt "$peak_kib" ]; then peak_kib=$peak; fi
}

# median NUMBER...
median() {
    printf '%s\n' "$@" | sort -g |
        awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'
}

ratio_of() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f", a / b }'; }

# row CASE OURS AGAINST TARGET MET: for the table. OURS is seconds or a text, AGAINST is seconds or "-".
row() {
    jq -nc '$ARGS.positional | {case: .[0], ours: .[1], against: .[2], target: .[3], met: .[4]}' --args -- "$@" >> "$rows"
}

# meets VALUE LIMIT [VALUE LIMIT]...: prints yes when each value is below its limit, else no.
meets() {
    local met=yes
    while [ $# -gt 0 ]; do
        awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }' || met=no
        shift 2
    done
    echo $met
}

# One case, alone on the machine as far as others take the same lock.
in_turn() {
    local lock
    exec {lock}>"${KILN_BENCH_LOCK:-$work/lock}"
    flock "$lock" & # waited for, so that a signal ends the run now and not then
    running=$!
    wait "$running"
    running=
    say "$1"
    "case_${1//-/_}"
    exec {lock}>&-
}
