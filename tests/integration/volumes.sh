#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Volumes and key pairs by the command line, with a real QEMU whose guest is its firmware: it answers for everything but
# a guest's letting go of a device, which a reset stands for. Needs no image that takes a build: a part of the unit
# tests. integration.data_volume has a real guest.
. "$(dirname "$0")/lib.sh"
need jq qemu-img ssh-keygen openssl qemu-system-x86_64
[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "ovmf is not installed"
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg
"$build/tests/publish_tiny" web 1.0.0 >/dev/null

run() { "$kiln" run web --type t3.micro --quiet "$@"; }
volume() { "$kiln" volume show "$1" --json | jq -r "$2"; }
stored() { jq -r "$2" "$KILN_HOME/volumes/$1/volume.json"; }
state() { volume "$1" '"\(.state) \(.attachment.instance_id) \(.attachment.device) \(.attachment.state)"'; }
qemu_of() { pgrep -f -- "qemu-system-x86_64.*guest=$1," | head -n 1; }
supervisor_of() { pgrep -f -- "supervise $1\$" | head -n 1; }
opened_by() { ls -l "/proc/$(qemu_of "$1")/fd" 2>/dev/null | grep -c "$2/disk.qcow2" || true; }

say "create, list, resize, modify, delete"
expect 0 "$kiln" volume list
contains "kiln volume create"
data=$("$kiln" volume create --size 64MiB --name data --tag team=db --json | jq -r .volume_id)
equals "$(volume data '"\(.volume_id) \(.state) \(.size) \(.volume_type) \(.tags.team) \(.attachment)"')" \
    "$data available 67108864 gp3 db null"
expect 10 "$kiln" volume create --size 64MiB --name data
contains "is taken"
expect 2 "$kiln" volume create --size 100
expect 2 "$kiln" volume create --size lots
expect 0 "$kiln" volume resize data 128MiB
contains "128 MiB"
equals "$(qemu-img info "$KILN_HOME/volumes/$data/disk.qcow2" --output=json | jq '."virtual-size"')" $((128 << 20))
expect 2 "$kiln" volume resize data 64MiB
contains "can only grow"
expect 0 "$kiln" volume modify data --name other --tag stage=1 --untag team --json
equals "$(jq -c '[.name, .tags]' <<<"$output")" '["other",{"stage":"1"}]'
expect 10 "$kiln" volume modify other --delete-on-termination
expect 2 "$kiln" volume modify other
"$kiln" volume modify other --name data >/dev/null
expect 9 "$kiln" volume show none
equals "$("$kiln" volume list --quiet)" "$data"

say "attached to a running instance and taken back"
one=$(run --name one)
instances+=("$one")
expect 0 "$kiln" volume attach data one
contains "$one as /dev/sdf"
equals "$(state data)" "in-use $one /dev/sdf attached"
[ "$(opened_by "$one" "$data")" -gt 0 ] || fail "QEMU has not opened the volume"
confined "$one"
expect 0 "$kiln" instance screenshot one "$scratch/screen.png"
equals "$(head -c 4 "$scratch/screen.png" | tail -c 3)" PNG
equals "$("$kiln" instance show one --json | jq -r '.volumes[0] | "\(.volume_id) \(.device) \(.delete_on_termination)"')" \
    "$data /dev/sdf false"
expect 0 "$kiln" instance show one
contains "$data"
expect 10 "$kiln" volume attach data one
contains "VolumeInUse"
expect 10 "$kiln" volume delete data
contains "VolumeInUse"
more=$("$kiln" volume create --size 8MiB --json | jq -r .volume_id)
expect 10 "$kiln" volume attach "$more" one --device /dev/xvdf
contains "is taken"
expect 2 "$kiln" volume attach "$more" one --device /dev/sda
expect 0 "$kiln" volume attach "$more" one --device /dev/sdq
expect 0 "$kiln" volume resize data 256MiB
equals "$(volume data .size)" $((256 << 20))
expect 12 "$kiln" volume detach data --timeout 1 # firmware knows nothing of it
contains "has not let go"
equals "$(state data)" "in-use $one /dev/sdf busy"
"$kiln" instance reboot one --force >/dev/null # lets go of it
for _ in $(seq 50); do
    "$kiln" volume detach data --timeout 1 >/dev/null 2>&1 && break
    sleep 0.2
done
equals "$(state data)" "available null null null"
equals "$(opened_by "$one" "$data")" 0
expect 10 "$kiln" volume detach data
expect 0 "$kiln" volume attach data one
equals "$(state data)" "in-use $one /dev/sdf attached"
expect 0 "$kiln" volume detach data --timeout 1 --force
equals "$(state data)" "available null null null"
equals "$(opened_by "$one" "$data")" 0
expect 10 "$kiln" volume attach data one # what the guest still holds
contains "has not let go"
equals "$(state data)" "available null null null"

say "it is there again after a stop, and stays when its instance ends"
"$kiln" instance stop one --force >/dev/null
expect 0 "$kiln" volume attach data one
"$kiln" instance start one >/dev/null
[ "$(opened_by "$one" "$data")" -gt 0 ] || fail "QEMU has not opened the volume"
kill -KILL "$(supervisor_of "$one")" # another supervisor takes over
expect 0 "$kiln" volume resize data 300MiB
expect 0 "$kiln" volume modify "$more" --delete-on-termination
"$kiln" instance terminate one >/dev/null
equals "$(state data)" "available null null null"
expect 9 "$kiln" volume show "$more"
equals "$(ls "$KILN_HOME/ended/$more" | tr '\n' ' ')" "events.jsonl volume.json "

say "volumes of a launch: the AMI's kept, others beside it"
two=$(run --name two --volume /dev/vda=,delete-on-termination=no --volume /dev/sdf=data --volume /dev/sdg=16MiB \
    --volume /dev/sdh=16MiB,delete-on-termination=no)
instances+=("$two")
equals "$("$kiln" instance show two --json | jq -c '[.disks[].device, .volumes[].device]')" \
    '["/dev/vda","/dev/sdf","/dev/sdg","/dev/sdh"]'
root=$("$kiln" instance show two --json | jq -r '.disks[0].volume_id')
equals "$(volume "$root" '"\(.name) \(.source.device) \(.attachment.mapping)"')" "two-vda /dev/vda 0"
expect 10 "$kiln" volume detach "$root"
contains "is the root volume"
expect 10 run --volume /dev/sdf=data
contains "VolumeInUse"
expect 9 run --volume /dev/sdf=nothing
expect 2 run --volume /dev/sdf=data --count 2
equals "$("$kiln" volume list --json | jq length)" 4
equals "$("$kiln" instance list --quiet)" "$two"
"$kiln" instance terminate two >/dev/null
equals "$("$kiln" volume list --json | jq -r '[.[] | "\(.name) \(.state)"] | sort | join(", ")')" \
    "data available, two-sdh available, two-vda available"
three=$(run --volume "/dev/vda=$root" --volume /dev/sdf=data) # the root of another instance, with what was on it
instances+=("$three")
equals "$("$kiln" instance show "$three" --json | jq -r '.disks[0].volume_id')" "$root"
"$kiln" instance terminate "$three" >/dev/null
equals "$(volume "$root" .state)" available

say "a launch that fails leaves no volume"
mkdir "$scratch/bin"
printf '#!/bin/sh\necho no >&2\nexit 1\n' >"$scratch/bin/qemu-system-x86_64"
chmod +x "$scratch/bin/qemu-system-x86_64"
before=$("$kiln" volume list --quiet)
expect 12 env PATH="$scratch/bin:$PATH" "$kiln" run web --type t3.micro --volume /dev/sdf=data --volume /dev/sdg=16MiB
equals "$("$kiln" volume list --quiet)" "$before"
equals "$(stored "$data" .state)" available

say "two commands at once: one gets it"
four=$(run)
five=$(run)
instances+=("$four" "$five")
"$kiln" volume attach data "$four" >/dev/null 2>&1 &
left=$!
"$kiln" volume attach data "$five" >/dev/null 2>&1 &
right=$!
won=0
wait $left && won=$((won + 1))
wait $right && won=$((won + 1))
equals $won 1
holder=$(volume data .attachment.instance_id)
equals $(($(opened_by "$four" "$data") > 0)) $(($([ "$holder" = "$four" ] && echo 1 || echo 0)))
equals $(($(opened_by "$five" "$data") > 0)) $(($([ "$holder" = "$five" ] && echo 1 || echo 0)))
"$kiln" volume detach data --timeout 1 --force >/dev/null

say "attack 30: commands killed at any point"
for i in 1 2 3 4 5; do
    "$kiln" volume attach data "$four" >/dev/null 2>&1 &
    command=$!
    sleep "0.0$((i * 7 % 10))$i"
    kill -KILL $command 2>/dev/null || true
    wait $command 2>/dev/null || true
    "$kiln" volume detach data --timeout 1 --force >/dev/null 2>&1 || true
    equals "$(state data)" "available null null null"
    equals "$(opened_by "$four" "$data")" 0
    "$kiln" instance reboot "$four" --force >/dev/null # lets go of what was cut off
    sleep 0.3
done
for i in 1 2 3; do
    "$kiln" volume create --size 8MiB >/dev/null 2>&1 &
    command=$!
    sleep "0.0$((i * 3))"
    kill -KILL $command 2>/dev/null || true
    wait $command 2>/dev/null || true
done
"$kiln" volume create --size 8MiB >/dev/null # clears up after those
for id in $("$kiln" volume list --quiet); do
    [ "$id" = "$data" ] || "$kiln" volume delete "$id" >/dev/null
done
equals "$(ls "$KILN_HOME/volumes")" "$data"
nothing_left_in_work

say "usage"
equals "$("$kiln" usage --json | jq -r --arg id "$data" '.rows[] | select(.key == $id) | "\(.name) \(.starts)"')" "data 0"
"$kiln" usage --json | jq -e --arg id "$more" '.rows[] | select(.key == $id)' >/dev/null || fail "$more is not billed"

say "key pairs"
expect 0 "$kiln" keypair create ops --output "$scratch/ops.pem"
equals "$(stat -c %a "$scratch/ops.pem")" 600
equals "$("$kiln" keypair show ops --json | jq -r '.public_key')" "$(ssh-keygen -y -f "$scratch/ops.pem" | cut -d' ' -f1-2)"
equals "$("$kiln" keypair show ops --json | jq -r '.key_fingerprint | rtrimstr("=")')" \
    "$(ssh-keygen -l -f "$scratch/ops.pem" | sed 's/.*SHA256:\([^ ]*\).*/\1/')"
expect 10 "$kiln" keypair create ops2 --output "$scratch/ops.pem"
expect 10 "$kiln" keypair create ops
contains "InvalidKeyPair.Duplicate"
"$kiln" keypair create shown --type rsa 2>/dev/null >"$scratch/shown.pem"
chmod 600 "$scratch/shown.pem"
ssh-keygen -y -f "$scratch/shown.pem" >"$scratch/shown.pub"
expect 0 "$kiln" keypair import again "$scratch/shown.pub" --tag a=1
equals "$("$kiln" keypair list --json | jq -r '[.[].key_name] | join(" ")')" "again ops shown"
expect 9 run --key nobody
six=$(run --key ops)
instances+=("$six")
equals "$("$kiln" instance show "$six" --json | jq -r .key_name)" ops
grep -qF "$("$kiln" keypair show ops --json | jq -r .public_key) ops kiln-launch-key $six" \
    "$KILN_HOME/instances/$six/ssh/authorized_keys" || fail "the key is not among those for the guest"
tr '\0' '\n' <"/proc/$(qemu_of "$six")/cmdline" | grep "ssh.authorized_keys.root,string=.* ops kiln-launch-key $six" >/dev/null ||
    fail "the guest does not get the key"
expect 0 "$kiln" keypair delete ops
expect 9 "$kiln" keypair show ops

say "the identity document is signed"
jq -r .document "$KILN_HOME/instances/$six/identity.json" | head -c -1 >"$scratch/document"
jq -r .signature "$KILN_HOME/instances/$six/identity.json" | base64 -d >"$scratch/signature"
"$kiln" key show --json | jq -r .public_key >"$scratch/account.pem"
openssl pkeyutl -verify -pubin -inkey "$scratch/account.pem" -rawin -in "$scratch/document" \
    -sigfile "$scratch/signature" >/dev/null || fail "openssl does not verify it"
equals "$(jq -r .instanceId "$scratch/document")" "$six"

say "user data"
head -c 16385 /dev/zero >"$scratch/long"
expect 2 run --user-data "$scratch/long"
contains "16 KiB"
"$kiln" instance terminate "$four" "$five" "$six" >/dev/null
