#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole job on a real guest: launch, exec, change, snapshot while it runs, launch the new AMI,
# smoke-test, terminate. Each pass is the guest's own word.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 ssh jq

say "launch"
first=$("$kiln" run debian-12 --type t3.small --name first --wait --quiet)
instances+=("$first")
[[ $first =~ ^i-[0-9a-f]{17}$ ]] || fail "no instance id: $first"
expect 10 "$kiln" run debian-12 --name first
contains "first"
run_argv=$(tr '\0' ' ' </proc/"$(pgrep -f "qemu-system-x86_64.*$first" | head -n 1)"/cmdline)
for part in "-nodefaults" "-sandbox on" "spawn=deny"; do
    grep -qF -- "$part" <<<"$run_argv" || fail "no $part in QEMU's argv"
done

say "exec: output and status come back"
expect 0 "$kiln" instance exec "$first" -- systemctl is-system-running
equals "$output" running
expect 7 "$kiln" instance exec first -- sh -c 'echo out; echo err >&2; exit 7'
contains out
contains err
expect 125 "$kiln" instance exec first -- /no/such/program
expect 0 "$kiln" instance exec first -- sh -c 'echo kept > /var/lib/kept'
equals "$(echo hello | "$kiln" instance exec -i first -- cat)" hello

say "ssh with the key of this launch"
key=$("$kiln" instance show first --json | jq -r .ssh_key)
port=$("$kiln" instance show first --json | jq -r .ssh_port)
equals "$(ssh -i "$key" -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR root@127.0.0.1 id -un)" root

say "a killed supervisor: the guest runs on, the next command adopts it"
qemu_pid=$(pgrep -f "qemu-system-x86_64.*guest=$first")
pkill -KILL -f "supervise $first"
expect 0 "$kiln" instance exec first -- cat /proc/uptime
equals "$(pgrep -f "qemu-system-x86_64.*guest=$first")" "$qemu_pid"
equals "$(pgrep -fc "supervise $first")" 1

say "snapshot while it runs"
"$kiln" instance snapshot first --name debian-12-kept --version 1.0.0 --json >"$scratch/snapshot.json"
equals "$(jq -r .consistency "$scratch/snapshot.json")" filesystem
kept=$(jq -r .image_id "$scratch/snapshot.json")
expect 0 "$kiln" instance exec first -- true
parent_layers=$("$kiln" image show debian-12@1.0.0 --json | jq '.ami.block_device_mappings[0].layers | length')
expect 10 "$kiln" instance snapshot first --name debian-12-kept --version 1.0.0
equals "$("$kiln" image show debian-12-kept --json | jq -r '"\(.ami.parent.name) \(.ami.source.instance) \(.ami.block_device_mappings[0].layers | length)"')" \
    "debian-12 $first $((parent_layers + 1))"
base_layer=$("$kiln" image show debian-12 --json | jq -r '.ami.block_device_mappings[0].layers[0].digest')
equals "$("$kiln" image show debian-12-kept --json | jq -r '.ami.block_device_mappings[0].layers[0].digest')" "$base_layer"
expect 0 "$kiln" image verify debian-12-kept
nothing_left_in_work

say "an instance of the new AMI has what was kept, and an identity of its own"
second=$("$kiln" run debian-12-kept --wait --quiet)
instances+=("$second")
expect 0 "$kiln" instance exec "$second" -- cat /var/lib/kept
equals "$output" kept
for file in /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; do
    [ "$("$kiln" instance exec first -- cat $file)" != "$("$kiln" instance exec "$second" -- cat $file)" ] ||
        fail "both instances have the same $file"
done
expect 0 "$kiln" instance exec "$second" -- sh -c 'grep -c kiln-launch-key /root/.ssh/authorized_keys'
equals "$output" 1
expect 0 "$kiln" instance terminate "$second"

say "a broken snapshot fails its parent's tests, with status 13"
expect 0 "$kiln" instance exec first -- systemctl disable ssh
expect 0 "$kiln" instance snapshot first --name debian-12-broken --version 1.0.0
expect 0 "$kiln" instance terminate first
expect 13 "$kiln" test debian-12-broken --junit "$scratch/broken.xml" --artifacts "$scratch/artifacts" --github
contains FAIL
contains "::error title=debian-12-broken@1.0.0%3A ssh is up::"
grep -q '<failure' "$scratch/broken.xml" || fail "no failure in the JUnit report"
grep -q 'Debian GNU/Linux 12' "$scratch/artifacts/console.log" || fail "no console: $(head "$scratch/artifacts/console.log")"
grep -q ' kernel: ' "$scratch/artifacts/journal.txt" || fail "no journal: $(tail "$scratch/artifacts/journal.txt")"
equals "$(cat "$scratch/artifacts/failed-units.txt")" none
equals "$(head -c 4 "$scratch/artifacts/screen.png" | tail -c 3)" PNG

say "the AMI passes its own tests, which a policy wants before it launches"
account=$("$kiln" image show debian-12 --json | jq -r .ami.owner)
no_policy() { rm -f "$KILN_HOME/trust/policy.json"; }
at_end+=(no_policy) # the home is that of the other tests too
echo '{"kiln_policy": 1, "rules": [{"names": ["debian-12"], "accounts": ["'"$account"'"], "tests": "passed"}]}' \
    >"$KILN_HOME/trust/policy.json"
expect 11 "$kiln" image verify debian-12
expect 0 "$kiln" test debian-12 --junit "$scratch/passed.xml" --attest
grep -q 'failures="0"' "$scratch/passed.xml" || fail "no failures=\"0\" in the JUnit report"
expect 0 "$kiln" image verify debian-12
no_policy

say "nothing is left"
equals "$("$kiln" instance list --json)" "[]"
equals "$(ls -A "$KILN_HOME/instances")" ""
nothing_runs "$first"
nothing_runs "$second"
