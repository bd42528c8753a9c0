#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at any moment of `kiln image warm`: no half template, no instance that nobody ends, and the AMI launches. Takes the
# number of rounds.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq
rounds=${2:-6}

say "how long one takes"
begun=$EPOCHREALTIME
"$kiln" image warm debian-12 --quiet >/dev/null
whole=$(awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { printf "%d", (b - a) * 1000 }')
"$kiln" image warm debian-12 --remove >/dev/null

for ((round = 1; round <= rounds; ++round)); do
    after=$((RANDOM % whole))
    say "round $round: killed after $after of $whole ms"
    "$kiln" image warm debian-12 --quiet >/dev/null 2>&1 &
    maker=$!
    sleep "$(awk -v ms="$after" 'BEGIN { print ms / 1000 }')"
    kill -KILL "$maker" 2>/dev/null || true
    wait "$maker" 2>/dev/null || true
    # Either whole or not there: what is there is used.
    templates=$("$kiln" image warm debian-12 --list --json | jq length)
    id=$("$kiln" run debian-12 --wait --quiet 2>"$scratch/run.err")
    instances+=("$id")
    equals "$("$kiln" instance show "$id" --json | jq -r '.warm.launched_warm // false')" \
        "$([ "$templates" = 1 ] && echo true || echo false)"
    ! grep -q "launched cold" "$scratch/run.err" || fail "$(cat "$scratch/run.err")"
    expect 0 "$kiln" instance terminate "$id"
    expect 0 "$kiln" registry gc
    equals "$("$kiln" instance list --json | jq -r '.[].instance_id')" ""
    nothing_left_in_work
    "$kiln" image warm debian-12 --remove >/dev/null
    equals "$(ls -A "$KILN_HOME/warm")" ""
done
nothing_runs "qemu-system-x86_64.*$KILN_HOME/"
