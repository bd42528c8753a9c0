#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at any moment of `kiln image warm`, and of a `kiln test` that makes a template: no half template, no instance that
# nobody ends, and the AMI launches. Takes the number of rounds, half of them of each.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_warm.sh"
need qemu-system-x86_64 jq
rounds=${2:-6}
commands=("image warm" "test") images=(debian-12 warm-tested) whole=()

say "how long one takes"
build_warm_tested
for i in 0 1; do
    begun=$EPOCHREALTIME
    # shellcheck disable=SC2086 # words
    "$kiln" ${commands[i]} "${images[i]}" >/dev/null
    whole[i]=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d", (b - a) * 1000 }')
    expect 0 "$kiln" image warm "${images[i]}" --remove
    contains "removed the template"
done

for ((round = 1; round <= rounds; ++round)); do
    command=${commands[round % 2]} image=${images[round % 2]}
    after=$((RANDOM % whole[round % 2]))
    say "round $round: kiln $command, killed after $after of ${whole[round % 2]} ms"
    # shellcheck disable=SC2086 # words
    "$kiln" $command "$image" >/dev/null 2>&1 &
    maker=$!
    sleep "$(awk -v ms="$after" 'BEGIN { print ms / 1000 }')"
    kill -KILL "$maker" 2>/dev/null || true
    wait "$maker" 2>/dev/null || true
    # Either whole or not there: what is there is used.
    templates=$("$kiln" image warm "$image" --list --json | jq length)
    id=$("$kiln" run "$image" --wait --quiet 2>"$scratch/run.err")
    instances+=("$id")
    equals "$("$kiln" instance show "$id" --json | jq -r '.warm.launched_warm // false')" \
        "$([ "$templates" = 1 ] && echo true || echo false)"
    ! grep -q "launched cold" "$scratch/run.err" || fail "$(cat "$scratch/run.err")"
    expect 0 "$kiln" instance terminate "$id"
    expect 0 "$kiln" registry gc
    equals "$("$kiln" instance list --json | jq -r '.[].instance_id')" ""
    nothing_left_in_work
    "$kiln" image warm "$image" --remove >/dev/null
    expect 0 "$kiln" registry gc
    equals "$(find "$KILN_HOME/regions/local/blobs" -type f -size -64k -exec grep -l application/zstd {} + | wc -l)" 0
done
nothing_runs "qemu-system-x86_64.*$KILN_HOME/"
