#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Warm launches of a real guest: each clone has an identity of its own, what does not fit or is broken starts cold, and a
# clone is stopped, started and ended as any other instance. Takes the number of clones; the default is a quick one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_warm.sh"
. "$(dirname "$0")/lib_remote.sh"
need qemu-system-x86_64 ssh-keygen jq docker-registry
count=${2:-2}
type=t3.small
[ "$count" -lt 4 ] || type=t3.nano # twenty of them in the host's memory

in_guest() { "$kiln" instance exec "$1" -- sh -c "$2"; }
# distinct COMMAND: what it prints in each clone is another thing in each.
distinct() {
    local id all=
    for id in "${clones[@]}"; do all+="$(in_guest "$id" "$1" | tr '\n' ' ')"$'\n'; done
    equals "$(sort -u <<<"${all%$'\n'}" | wc -l)" "${#clones[@]}"
    ! grep -q '^ *$' <<<"${all%$'\n'}" || fail "a clone has none: $1"
}

say "one template"
"$kiln" image warm debian-12 --type $type --quiet >"$scratch/template"
template=$(cat "$scratch/template")
[[ $template =~ ^[0-9a-f]{24}$ ]] || fail "no template: $template"
equals "$("$kiln" image warm debian-12 --list --json | jq -r '.[].template_id')" "$template"
equals "$("$kiln" instance list --json)" "[]"
nothing_left_in_work

say "$count clones of it"
"$kiln" run debian-12 --type $type --count "$count" --wait --json >"$scratch/run.json" 2>"$scratch/run.err"
# One clone is an object, several are an array.
mapfile -t clones < <(jq -r '[.] | flatten | .[].instance_id' "$scratch/run.json")
instances+=("${clones[@]}")
equals "${#clones[@]}" "$count"
equals "$(jq -r '[.] | flatten | .[].warm | "\(.launched_warm) \(.template_id) \(.reason)"' "$scratch/run.json" | sort -u)" \
    "true $template null"
[ ! -s "$scratch/run.err" ] || ! grep -q "launched cold" "$scratch/run.err" || fail "$(cat "$scratch/run.err")"

say "QEMU of a clone is confined as any other, and all have one memory"
confined "${clones[0]}"
equals "$(for id in "${clones[@]}"; do
    find "/proc/$(pgrep -f "qemu-system-x86_64.*guest=$id," | head -n 1)/fd/" -lname '/memfd:kiln-guest-memory*' -exec stat -Lc %i {} +
done | sort -u | wc -l)" 1

say "each is somebody else"
distinct 'cat /etc/machine-id'
distinct 'cat /etc/ssh/ssh_host_ed25519_key.pub'
distinct 'cat /sys/class/net/e*/address'
distinct 'head -c 16 /dev/urandom | od -An -tx1'
distinct 'od -An -tx1 -N 32 /var/lib/systemd/random-seed'
distinct 'cat /root/.ssh/authorized_keys'
for id in "${clones[@]}"; do
    equals "$(in_guest "$id" 'systemctl is-system-running')" running
    equals "$(in_guest "$id" 'grep -c kiln-launch-key /root/.ssh/authorized_keys; grep -c "launch-key '"$id"'" /root/.ssh/authorized_keys' |
        tr '\n' ' ')" "1 1 "
    lag=$(($(date +%s) - $(in_guest "$id" 'date +%s')))
    [ "${lag#-}" -le 5 ] || fail "the clock of $id is $lag s off"
done
# Drawn before anything else ran in them; and the log has them, as the guests said.
equals "$(jq -r 'select(.event == "cloned") | .detail.random // .random' "$KILN_HOME"/instances/*/events.jsonl | sort -u | wc -l)" \
    "$count"

say "ssh: the clone's host key, and the key of this launch"
first=${clones[0]}
show=$("$kiln" instance show "$first" --json)
ssh-keyscan -t ed25519 -p "$(jq -r .ssh_port <<<"$show")" 127.0.0.1 2>/dev/null | cut -d ' ' -f 3 >"$scratch/seen"
in_guest "$first" 'cut -d " " -f 2 /etc/ssh/ssh_host_ed25519_key.pub' | cmp - "$scratch/seen" ||
    fail "sshd shows another host key than the file has"
equals "$(ssh -i "$(jq -r .ssh_key <<<"$show")" -p "$(jq -r .ssh_port <<<"$show")" -o BatchMode=yes \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 id -un)" root
expect 0 "$kiln" instance show "$first"
contains "warm, from the template $template"

say "one with a key pair has that key too; --cold boots"
"$kiln" keypair create warm-test --output "$scratch/pair.pem" >/dev/null
at_end+=(delete_pair)
delete_pair() { "$kiln" keypair delete warm-test >/dev/null; }
id=$("$kiln" run debian-12 --type $type --key warm-test --wait --quiet)
instances+=("$id")
show=$("$kiln" instance show "$id" --json)
equals "$(jq -r .warm.launched_warm <<<"$show")" true
for key in "$scratch/pair.pem" "$(jq -r .ssh_key <<<"$show")"; do
    equals "$(ssh -i "$key" -p "$(jq -r .ssh_port <<<"$show")" -o BatchMode=yes -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@127.0.0.1 id -un)" root
done
expect 0 "$kiln" instance terminate "$id"
id=$("$kiln" run debian-12 --type $type --cold --quiet 2>"$scratch/run.err")
instances+=("$id")
[ ! -s "$scratch/run.err" ] || fail "it says something: $(cat "$scratch/run.err")"
equals "$("$kiln" instance show "$id" --json | jq -r '.warm | "\(.launched_warm) \(.reason)"')" "false a cold launch was asked for"
expect 0 "$kiln" instance terminate "$id"

if [ "$count" -gt 3 ]; then
    say "an AMI of a clone boots as somebody else"
    in_guest "$first" 'echo kept > /etc/kept'
    image=$("$kiln" instance snapshot "$first" --name warm-clone --version 1.0.0 --wait --json | jq -r .image_id)
    id=$("$kiln" run "$image" --type $type --wait --quiet)
    instances+=("$id")
    equals "$(in_guest "$id" 'cat /etc/kept')" kept
    clones+=("$id")
    distinct 'cat /etc/machine-id'
    distinct 'cat /etc/ssh/ssh_host_ed25519_key.pub'
    unset 'clones[-1]'
    expect 0 "$kiln" instance terminate "$id"
    expect 0 "$kiln" image deregister "$image"
fi

vpc_why=$(unshare --user --map-current-user --keep-caps -- "$build/kiln-supervisor" serve-vpc --try 2>&1) ||
    say "NOT TESTED: clones in a VPC: $vpc_why"
if [ -z "$vpc_why" ]; then
    say "in a VPC each has an address of its own from its first moment on"
    "$kiln" run debian-12 --type $type --count 2 --network vpc --wait --json >"$scratch/vpc.json" 2>"$scratch/run.err"
    mapfile -t members < <(jq -r '.[].instance_id' "$scratch/vpc.json")
    instances+=("${members[@]}")
    equals "$(jq -r '.[].warm | "\(.launched_warm) \(.reason)"' "$scratch/vpc.json" | sort -u)" "true null"
    for id in "${members[@]}"; do
        address=$(jq -r --arg id "$id" '.[] | select(.instance_id == $id).private_ip_address' "$scratch/vpc.json")
        equals "$(jq -r 'select(.event == "cloned").detail.address' "$KILN_HOME/instances/$id/events.jsonl")" "$address"
        equals "$(in_guest "$id" "ip -4 -o addr show scope global | grep -o 'inet [0-9.]*'")" "inet $address"
    done
    in_guest "${members[0]}" "timeout 10 bash -c ': </dev/tcp/$address/22'" || fail "its neighbour does not answer"
    for id in "${members[@]}"; do expect 0 "$kiln" instance terminate "$id"; done
fi

say "an account that trusts the AMI's owner takes the template with the AMI"
other=$scratch/other
in_other() { KILN_HOME=$other "$kiln" "$@"; }
serve plain
remote=oci://127.0.0.1:$port/debian-12
in_other key create >/dev/null
guest=$(in_other key show --json | jq -r .account)
"$kiln" key show --json | jq -r .public_key >"$scratch/owner.pem"
in_other key trust "$("$kiln" key show --json | jq -r .account)" "$scratch/owner.pem" >/dev/null
at_end+=(leave_other)
leave_other() {
    in_other instance list --json | jq -r '.[].instance_id' | while read -r id; do in_other instance terminate "$id"; done
    "$kiln" image unshare debian-12 --account "$guest"
} >/dev/null
expect 0 "$kiln" image share debian-12 --account "$guest"
expect 0 "$kiln" image push debian-12 "$remote:1" --warm --json -q
equals "$(jq -r .templates <<<"$output")" 1
expect 0 in_other image pull "$remote:1" --json -q
equals "$(jq -r .pulled_from.templates <<<"$output")" 0
equals "$(in_other image warm --list --json)" "[]"
expect 0 in_other image pull "$remote:1" --warm --json -q # the AMI is there, and the template comes
equals "$(jq -r .pulled_from.templates <<<"$output")" 1
expect 0 in_other image verify debian-12
expect 0 in_other run debian-12 --type $type --wait --json -q
equals "$(jq -r '.warm | "\(.launched_warm) \(.template_id) \(.reason)"' <<<"$output")" "true $template null"
id=$(jq -r .instance_id <<<"$output")
for what in 'cat /etc/machine-id' 'cat /etc/ssh/ssh_host_ed25519_key.pub' 'head -c 16 /dev/urandom | od -An -tx1'; do
    equals "$({ in_guest "$first" "$what"; KILN_HOME=$other in_guest "$id" "$what"; } | sort -u | wc -l)" 2
done
expect 0 in_other instance terminate "$id"
expect 9 in_other image push debian-12 "$remote:2" --warm
contains "has no template of"
leave_other
at_end=("${at_end[@]/leave_other/true}")

say "a template that does not fit, or was touched, is not used"
for id in "${clones[@]:1}"; do expect 0 "$kiln" instance terminate "$id"; done
id=$("$kiln" run debian-12 --type t3.micro --quiet 2>"$scratch/run.err")
instances+=("$id")
grep -q "launched cold: the template does not fit: it is for a $type with" "$scratch/run.err" || fail "$(cat "$scratch/run.err")"
expect 0 "$kiln" instance terminate "$id"
layout=$KILN_HOME/regions/local
manifest=$("$kiln" image warm debian-12 --list --json | jq -r '.[].manifest')
state=$(jq -r '.layers[2].digest' "$layout/blobs/${manifest/:/\/}")
printf x | dd of="$layout/blobs/${state/:/\/}" bs=1 seek=50000 conv=notrunc status=none
id=$("$kiln" run debian-12 --type $type --quiet 2>"$scratch/run.err")
instances+=("$id")
grep -q "launched cold: the template was refused: .*digest" "$scratch/run.err" || fail "$(cat "$scratch/run.err")"
expect 0 "$kiln" instance terminate "$id"

say "without its template the clone goes on, and starts again from its disks"
expect 0 "$kiln" image warm debian-12 --remove
equals "$("$kiln" image warm --list --json)" "[]"
expect 0 "$kiln" registry gc
[ ! -e "$layout/blobs/${state/:/\/}" ] || fail "its files are still there"
in_guest "$first" 'echo kept > /var/lib/kept; cat /etc/machine-id' >"$scratch/machine-id"
expect 0 "$kiln" instance stop "$first"
expect 0 "$kiln" instance start "$first"
for _ in $(seq 120); do in_guest "$first" true 2>/dev/null && break; sleep 1; done
equals "$(in_guest "$first" 'cat /etc/machine-id')" "$(cat "$scratch/machine-id")"
equals "$(in_guest "$first" 'cat /var/lib/kept')" kept
expect 0 "$kiln" instance terminate "$first"
nothing_left_in_work

say "a smoke test saves its instance booted where the recipe asks for it, and only when all has passed"
build_warm_tested
"$kiln" test warm-tested --type t3.nano >"$scratch/nano" 2>&1 & # two boots at once, for the time that they take
nano=$! status=0
"$kiln" test warm-tested --json >"$scratch/test.json" 2>"$scratch/test.err" || true
wait $nano || status=$?
equals $status 13
grep -q "FAIL  has the memory of a t3.small" "$scratch/nano" || fail "$(cat "$scratch/nano")"
grep -q "done: save it booted" "$scratch/nano" || fail "it was not saved: $(cat "$scratch/nano")"
template=$(jq -r .template_id "$scratch/test.json")
[[ $template =~ ^[0-9a-f]{24}$ ]] || fail "no template: $template: $(cat "$scratch/test.err")"
equals "$(jq .failed "$scratch/test.json")" 0
equals "$("$kiln" image warm --list --json | jq -r '.[].template_id')" "$template"
equals "$("$kiln" instance list --json)" "[]"
id=$("$kiln" run warm-tested --wait --quiet)
instances+=("$id")
equals "$("$kiln" instance show "$id" --json | jq -r '.warm | "\(.launched_warm) \(.template_id)"')" "true $template"
in_guest "$id" 'test ! -e /etc/changed-by-a-test && systemctl is-system-running' >/dev/null || fail "it has what the tests did"
expect 0 "$kiln" instance terminate "$id"
nothing_left_in_work
