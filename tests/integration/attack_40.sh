#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attack 40: a QEMU that exits, hangs, or whose guest never says that it is up. The smoke test ends by its deadline with
# status 13, tells in JUnit and annotations what it saw, and nothing of the instance is left. QEMU is a stand-in.
. "$(dirname "$0")/lib.sh"
need jq qemu-img ssh-keygen
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg KILN_FAKE_QEMU=$scratch/qemu
export PATH=$build/tests/fake-qemu:$PATH
unset GITHUB_ACTIONS
mkdir "$KILN_FAKE_QEMU"
reachable "$KILN_FAKE_QEMU"
ami=$("$build/tests/publish_tiny" web 1.0.0)
# The first QEMU of this home; no word of its command line is from there.
qemu_of_home() {
    local pid
    for pid in $(pgrep -f "qemu-system-x86_64.*guest=i-"); do
        if tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -xF "KILN_HOME=$KILN_HOME" >/dev/null; then
            echo "$pid"
            return 0
        fi
    done
    return 1
}
nothing_is_left() {
    equals "$("$kiln" instance list --json)" "[]"
    equals "$(ls -A "$KILN_HOME/instances")" ""
    for _ in $(seq 200); do
        qemu_of_home >/dev/null || break
        sleep 0.1
    done
    qemu_of_home && fail "QEMU still runs"
    nothing_left_in_work
}

say "the guest never says that it is up"
SECONDS=0
expect 13 "$kiln" test web --boot-timeout 2 --junit "$scratch/junit.xml" --artifacts "$scratch/artifacts" --github --json
[ $SECONDS -lt 90 ] || fail "it took $SECONDS s"
contains "::error title=web@1.0.0%3A boots::"
contains "::stop-commands::"
grep -q '<failure message=".*was not ready within 2 s' "$scratch/junit.xml" || fail "$(cat "$scratch/junit.xml")"
equals "$(find "$scratch/artifacts" -type f -printf '%f\n' | sort | tr '\n' ' ')" \
    "console.log failed-units.txt journal.txt screen.png "
nothing_is_left

say "QEMU is deaf to everything but a kill"
touch "$KILN_FAKE_QEMU/ignore-quit" "$KILN_FAKE_QEMU/ignore-powerdown"
expect 13 "$kiln" test web --boot-timeout 1
nothing_is_left
rm "$KILN_FAKE_QEMU"/ignore-*

say "QEMU ends in the midst of it"
"$kiln" test web --boot-timeout 600 >"$scratch/output" 2>&1 &
testing=$!
for _ in $(seq 200); do
    qemu=$(qemu_of_home) && break
    sleep 0.1
done
sleep 0.5
kill -KILL "$qemu"
status=0
wait $testing || status=$?
equals "$status" 13
grep -q "ended before it was ready" "$scratch/output" || fail "$(cat "$scratch/output")"
nothing_is_left

say "QEMU does not start"
echo 0 >"$KILN_FAKE_QEMU/starts-left"
expect 12 "$kiln" test web
rm "$KILN_FAKE_QEMU/starts-left"
nothing_is_left

say "it is interrupted"
"$kiln" test web --boot-timeout 600 >/dev/null 2>&1 &
testing=$!
for _ in $(seq 200); do
    qemu_of_home >/dev/null && break
    sleep 0.1
done
kill -TERM $testing
status=0
wait $testing || status=$?
equals "$status" 130
nothing_is_left

say "a policy that wants passed tests"
account=$("$kiln" image show web --json | jq -r '.owner // .ami.owner')
echo '{"kiln_policy": 1, "rules": [{"names": ["web"], "accounts": ["'"$account"'"], "tests": "passed"}]}' \
    >"$KILN_HOME/trust/policy.json"
expect 11 "$kiln" run web --type t3.micro
contains "no result is signed by a key of its owner"
expect 13 "$kiln" test web --boot-timeout 1 --attest # it may launch, to be tested
expect 11 "$kiln" run web --type t3.micro
contains "failed at"
contains "kiln test $ami --attest"
expect 11 "$kiln" image verify web
contains "tests"
echo '{"kiln_policy": 1, "rules": [{"names": ["web"], "accounts": ["'"$account"'"], "tests": "some"}]}' \
    >"$KILN_HOME/trust/policy.json"
expect 11 "$kiln" run web --type t3.micro
contains 'is not "passed"'
rm "$KILN_HOME/trust/policy.json"
id=$("$kiln" run web --type t3.micro --quiet)
"$kiln" instance terminate "$id" >/dev/null
expect 0 "$kiln" registry gc
expect 0 "$kiln" registry check
nothing_is_left
