#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attack 30 many times over: supervisors, QEMUs and network helpers are killed at random moments, idle or while commands
# are at work on their instance. Nothing is lost and nothing leaks: each instance can be seen, started and ended, has
# one process of a kind, and a bill without gaps. QEMU is a stand-in. The second argument is the number of rounds.
. "$(dirname "$0")/lib.sh"
need jq qemu-img ssh-keygen
rounds=${2:-8}
seed=${KILN_SEED:-$$}
RANDOM=$seed
say "seed $seed"
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg KILN_FAKE_QEMU=$scratch/qemu
export PATH=$build/tests/fake-qemu:$PATH
mkdir "$KILN_FAKE_QEMU"
reachable "$KILN_FAKE_QEMU"
"$build/tests/publish_tiny" web 1.0.0 >/dev/null

mapfile -t ids < <("$kiln" run web --type t3.micro --quiet --count 2 && "$kiln" run web --type t3.micro --quiet \
    --network none)
instances=("${ids[@]}")
processes() { # ID KIND
    case $2 in
        qemu) pgrep -f -- "qemu-system-x86_64.*guest=$1," ;;
        supervisor) pgrep -f -- "supervise $1\$" ;;
        network) pgrep -f -- "serve-network $1\$" ;;
    esac || true
}
strike() { # ID: kills one to three kinds of its processes
    local kind
    for kind in $(shuf -e qemu supervisor network -n $((RANDOM % 3 + 1))); do
        # shellcheck disable=SC2046
        kill -KILL $(processes "$1" "$kind") 2>/dev/null || true
    done
}
pause() { sleep "0.0$((RANDOM % 10))"; }

for round in $(seq "$rounds"); do
    id=${ids[RANDOM % ${#ids[@]}]}
    case $((RANDOM % 4)) in
        0) strike "$id" ;;
        1) "$kiln" instance stop "$id" >/dev/null 2>&1 & pause; strike "$id"; wait $! || true ;;
        2) "$kiln" instance stop "$id" >/dev/null 2>&1 || true
           "$kiln" instance start "$id" >/dev/null 2>&1 & pause; strike "$id"; wait $! || true ;;
        3) "$kiln" instance reboot "$id" --patience 1 >/dev/null 2>&1 & pause; strike "$id"; wait $! || true ;;
    esac
    # Whatever it was in the midst of: it is listed with a state and can be started.
    "$kiln" instance list --json | jq -e --arg id "$id" 'length == 3 and any(.[]; .instance_id == $id and
        (.state | IN("running", "stopped", "stopping", "pending")))' >/dev/null ||
        fail "round $round: $("$kiln" instance list)"
    for _ in $(seq 100); do # one that is stopping can't be yet
        "$kiln" instance start "$id" >/dev/null 2>&1 && break
        sleep 0.1
    done
    equals "$("$kiln" instance show "$id" --json | jq -r .state)" running
    # An answer from a supervisor, which adopts what it finds; a helper that was killed is started again.
    for _ in $(seq 100); do
        "$kiln" instance screenshot "$id" "$scratch/shot$round.png" >/dev/null 2>&1 && break
        sleep 0.1
    done
    [ -s "$scratch/shot$round.png" ] || fail "round $round: $id has no supervisor that answers"
    equals "$(processes "$id" qemu | wc -l)" 1
    equals "$(processes "$id" supervisor | wc -l)" 1
    [ "$(processes "$id" network | wc -l)" -le 1 ] || fail "round $round: $id has two network helpers"
done

say "the records and the bill are whole"
for id in "${ids[@]}"; do
    jq -e . "$KILN_HOME/instances/$id/instance.json" >/dev/null || fail "$id has a torn record"
    "$kiln" instance stop "$id" --force >/dev/null
    # Of each start there is an end, in this order.
    jq -r '.event' "$KILN_HOME/instances/$id/events.jsonl" | grep -E '^(running|stopped)$' >"$scratch/events"
    [ "$(grep -c . "$scratch/events")" -ge 2 ] || fail "$id has no events"
    ! uniq -d "$scratch/events" | grep -q running || fail "$id ran twice at once: $(tr '\n' ' ' <"$scratch/events")"
    equals "$(tail -n 1 "$scratch/events")" stopped
done
equals "$("$kiln" usage --json | jq '[.rows[].starts] | add')" \
    "$(cat "$KILN_HOME"/instances/*/events.jsonl | jq -r .event | grep -cx running)"

say "nothing is left"
"$kiln" instance terminate "${ids[@]}" >/dev/null
for id in "${ids[@]}"; do
    nothing_runs "guest=$id,"
    nothing_runs "supervise $id\$"
    nothing_runs "serve-network $id\$"
done
equals "$(ls -A "$KILN_HOME/instances")" ""
[ -z "$(find /tmp -maxdepth 2 -path '/tmp/kiln-*' \( -name "${ids[0]}" -o -name "${ids[1]}" -o -name "${ids[2]}" \))" ] ||
    fail "a run folder is left"
nothing_left_in_work
