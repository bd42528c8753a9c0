# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: the cases about the registry, each in a home of its own. They need no Debian AMI.

# least NUMBER...: of runs that do the same work, the one that was disturbed least.
least() { printf '%s\n' "$@" | sort -g | head -n 1; }

# One layer, from the page cache, by `kiln image verify` (all of the process) and by openssl: on one core, then on all.
case_verify_speed() {
    local home=$KILN_HOME mib=${KILN_BENCH_LAYER:-1024} cores i image blob recorded theirs one all
    local one_ours=() one_theirs=() all_ours=()
    need taskset:util-linux openssl
    cores=$(nproc)
    KILN_HOME=$work/verify-home
    measure "$build/bench_registry" large "$mib"
    read -r image blob < "$work/output"
    cat "$blob" > /dev/null
    for ((i = 1; i <= runs; ++i)); do
        measure taskset -c 0 openssl dgst -sha256 "$blob"
        one_theirs+=("$took")
        measure taskset -c 0 "$kiln" image verify "$image"
        one_ours+=("$took")
        measure "$kiln" image verify "$image"
        all_ours+=("$took")
    done
    sleep 2.1 # what changed a moment ago is not noted
    measure "$kiln" image verify "$image"
    measure "$kiln" image verify --verify=changed "$image"
    recorded=$took
    theirs=$(least "${one_theirs[@]}")
    one=$(least "${one_ours[@]}")
    all=$(least "${all_ours[@]}")
    row "verify $mib MiB on one core, against \`openssl dgst -sha256\` (at least 0.95 of its speed)" "$one" "$theirs" \
        "< 1/0.95" "$(meets "$(ratio_of "$one" "$theirs")" 1.0527)"
    row "verify $mib MiB on $cores cores, against openssl on one" "$all" "$theirs" "< 1/(0.8 x cores)" \
        "$(meets "$(ratio_of "$all" "$theirs")" "$(awk -v n="$cores" 'BEGIN { printf "%.4f", 1 / (0.8 * n) }')")"
    row "verify $mib MiB that was read before and is unchanged" "$recorded" "$theirs" "< 0.1 s" "$(meets "$recorded" 0.1)"
    rm -rf "$KILN_HOME"
    KILN_HOME=$home
}

# published COUNT: publishes so many; sets $each (the median, in seconds) and $peak_kib.
published() {
    local results
    measure "$build/bench_registry" publish "$1"
    mapfile -t results < "$work/output"
    peak_kib=${results[-1]}
    each=$(median "${results[@]:0:$1}")
}
# What a list with a filter and one more publishing cost among 10,000 images, in time and memory, and among twenty.
case_many_images() {
    local home=$KILN_HOME count=${KILN_BENCH_IMAGES:-10000} i lists=() few few_peak many many_peak
    KILN_HOME=$work/many-home
    measure "$build/bench_registry" fill 10
    published 10
    few=$each few_peak=$peak_kib
    measure "$build/bench_registry" fill "$count"
    for ((i = 1; i <= 10; ++i)); do
        measure "$kiln" image list --filter 'name=service-1?' --filter version=1.0.7 --json
        lists+=("$took")
    done
    row "\`kiln image list --filter\` of $count images, ten of which fit" "$(median "${lists[@]}")" - "< 0.05 s" \
        "$(meets "$(median "${lists[@]}")" 0.05)"
    lists=()
    for ((i = 1; i <= 10; ++i)); do
        measure "$kiln" image list --filter 'tag:build=77*' --json
        lists+=("$took")
    done
    row "the same by a tag" "$(median "${lists[@]}")" - "< 0.05 s" "$(meets "$(median "${lists[@]}")" 0.05)"
    published 10
    many=$each many_peak=$peak_kib
    row "publish ten more than $count, against number 11 to 20" "$many" "$few" "< 1.5 x" \
        "$(meets "$(ratio_of "$many" "$few")" 1.5)"
    row "peak memory of publishing them: $((many_peak / 1024)) MiB; among twenty images $((few_peak / 1024)) MiB" \
        "$(ratio_of "$many_peak" "$few_peak") x" - "< 1.5 x" "$(meets "$(ratio_of "$many_peak" "$few_peak")" 1.5)"
    rm -rf "$KILN_HOME"
    KILN_HOME=$home
}
