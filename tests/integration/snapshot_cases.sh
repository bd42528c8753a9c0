#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of a real QEMU without a guest: running and stopped, the second of an instance, two at once, cancelled, killed
# at any moment, a parent that is deregistered or has a long chain, volumes, a full disk. What an AMI has is compared byte
# by byte.
# snapshot_cases.sh BUILD [ROUNDS]: how often it is killed.
. "$(dirname "$0")/lib.sh"
need jq qemu-img qemu-io qemu-system-x86_64 qemu-storage-daemon ssh-keygen
rounds=${2:-6}
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg

qemu-img create -q -f qcow2 "$scratch/disk" 64M
qemu-io -f qcow2 -c "write -P 1 0 8M" "$scratch/disk" >/dev/null
tiny() { PUBLISH_TINY_BLANK=${3-67108864} PUBLISH_TINY_LAYERS=$1 "$build/tests/publish_tiny" "$2" 1.0.0; }
parent=$(tiny "$scratch/disk" tiny)

# expect_json COMMAND...: its standard output alone is $output.
expect_json() { output=$("$@" --json 2>"$scratch/errors") || fail "'$*': $(cat "$scratch/errors")"; }
# frozen LOG: until the snapshot that writes it has frozen the disks, up to 60 s.
frozen() {
    for _ in $(seq 600); do
        if grep -q "done: freeze the disks" "$1"; then return 0; fi
        sleep 0.1
    done
    fail "not frozen: $(cat "$1")"
}
record() { jq -r "$1" "$KILN_HOME/instances/$one/instance.json"; }
qemu_of() { pgrep -f -- "qemu-system-x86_64.*guest=$one," | head -n 1; }
# chain FILE...: bottom first, as qemu-img takes it.
chain() {
    local node=null file
    for file in "$@"; do
        node=$(jq -nc --arg file "$file" --argjson below "$node" \
            '{driver: "qcow2", file: {driver: "file", filename: $file}, backing: $below}')
    done
    echo "json:$node"
}
# Digest of a disk's content: of an AMI, and of the (stopped) instance.
digest_of() { qemu-img convert -U -O raw "$(chain "$@")" "$scratch/raw" && sha256sum <"$scratch/raw"; }
of_ami() { # AMI DISK
    local blobs=()
    mapfile -t blobs < <("$kiln" image show "$1" --json |
        jq -r ".ami.block_device_mappings[$2].layers[].digest | \"$KILN_HOME/regions/local/blobs/sha256/\" + ltrimstr(\"sha256:\")")
    digest_of "${blobs[@]}"
}
of_instance() { # DISK
    local files=()
    mapfile -t files < <(record ".disks[$1] | .layers[], .lower_overlays[], .overlay")
    digest_of "${files[@]}"
}
change() { qemu-io -f qcow2 -c "write $1" "$(record '.disks[0].overlay')" >/dev/null; } # of the stopped instance
layers_of() { "$kiln" image show "$1" --json | jq -r ".ami.block_device_mappings[$2].layers[].digest"; }
snapshot() { "$kiln" instance snapshot "$one" --exact --name "$1" --version 1.0.0 "${@:2}"; }

one=$("$kiln" run tiny --type t3.micro --quiet)
instances+=("$one")

say "of a running instance without an agent"
expect_json snapshot running --wait
equals "$(jq -r '"\(.consistency) \(.consistency_reason) \(.exact)"' <<<"$output")" "crash the guest agent does not answer true"
equals "$(layers_of running 0)" "$(layers_of tiny 0)" # nothing changed: nothing is stored
equals "$("$kiln" image show running --json | jq -c '.ami.source.snapshot.drift')" null
equals "$(record '.disks[0].lower_overlays | length')" 1
expect 10 snapshot running
expect 2 "$kiln" instance snapshot "$one" --exact
expect 2 snapshot wrong --rate 5
expect 0 "$kiln" image verify running
nothing_left_in_work

say "of a stopped one, which starts meanwhile"
expect 0 "$kiln" instance stop "$one" --skip-os-shutdown
change "-P 2 4M 4M"
wanted=$(of_instance 0)
expect_json snapshot first --no-freeze --tag team=web --description "a test"
new=$(jq .new_layers_size <<<"$output")
equals "$("$kiln" image show first --json | jq -r '"\(.ami.tags.team) \(.ami.description)"')" "web a test"
equals "$(of_ami first 0)" "$wanted"
equals "$(layers_of first 0 | head -n 1)" "$(layers_of tiny 0)"
equals "$(layers_of first 1)" "" # a blank volume that nothing was written to
equals "$(record '.disks[0].lower_overlays | length')" 1

say "the second stores what changed since the first"
change "-P 3 1M 64k"
wanted=$(of_instance 0)
expect_json snapshot second
equals "$(of_ami second 0)" "$wanted"
equals "$(layers_of second 0 | head -n -1)" "$(layers_of first 0)"
equals "$("$kiln" image show second --json | jq -r .ami.parent.name)" tiny
[ "$(jq .new_layers_size <<<"$output")" -lt "$((new + 1))" ] || fail "the second is larger than the first"
expect 0 "$kiln" image deregister second
expect 0 snapshot third --volumes root
equals "$(of_ami third 0)" "$wanted"
equals "$("$kiln" image show third --json | jq '.ami.block_device_mappings | length')" 1

say "two at once, by rate, of a running one"
change "-P 4 16M 6M"
wanted=$(of_instance 0)
expect 0 "$kiln" instance start "$one"
begun=$SECONDS
snapshot left --no-freeze --rate 2MiB >"$scratch/left" 2>&1 &
left=$!
expect 0 snapshot right --no-freeze --rate 2MiB --wait
wait "$left" || fail "$(cat "$scratch/left")"
[ $((SECONDS - begun)) -ge 2 ] || fail "6 MiB at 2 MiB/s took $((SECONDS - begun)) s"
equals "$(of_ami left 0)" "$wanted"
equals "$(of_ami right 0)" "$wanted"
equals "$(record '.disks[0].lower_overlays | length')" 1

say "cancelled: nothing is left"
expect 0 "$kiln" instance snapshot "$one" --cancel
contains "no snapshot"
"$kiln" instance stop "$one" --skip-os-shutdown >/dev/null
change "-P 5 24M 16M"
expect 0 "$kiln" instance start "$one"
qemu=$(qemu_of)
snapshot cancelled --no-freeze --rate 1MiB >"$scratch/cancelled" 2>&1 &
cancelled=$!
frozen "$scratch/cancelled"
expect_json "$kiln" instance snapshot "$one" --cancel
equals "$(jq .cancelled <<<"$output")" 1
status=0
wait "$cancelled" || status=$?
equals "$status" 130
nothing_left_in_work
expect 9 "$kiln" image show cancelled

say "a parent that is deregistered"
expect 0 "$kiln" image deregister "$parent"
expect 0 snapshot orphan --no-freeze --wait
equals "$(qemu_of)" "$qemu"

say "killed again and again: QEMU runs on, and there is an AMI or none"
for round in $(seq "$rounds"); do
    setsid "$kiln" instance snapshot "$one" --exact --no-freeze --name killed --version "1.0.$round" --rate 20MiB \
        >/dev/null 2>&1 &
    process=$!
    sleep "0.$((RANDOM % 9))"
    if [ $((round % 2)) = 0 ]; then
        kill -KILL "$process" 2>/dev/null || true
    else
        pkill -KILL -f -- "supervise $one\$" || true
    fi
    wait "$process" 2>/dev/null || true
    equals "$(qemu_of)" "$qemu"
    expect 0 "$kiln" registry check
done
expect 0 snapshot after --no-freeze --wait
equals "$(record '.disks[0].lower_overlays | length')" 1
equals "$(find "$KILN_HOME/instances/$one/disks" -name 'disk0*' | wc -l)" 2
for image in $("$kiln" image list --json | jq -r '.[] | select(.name == "killed").image_id'); do
    expect 0 "$kiln" image verify "$image"
done
kill -KILL "$qemu" # the host's end
nothing_runs "guest=$one,"
equals "$(of_instance 0)" "$(of_ami after 0)"
equals "$(of_ami orphan 0)" "$(of_ami after 0)"

expect 0 "$kiln" instance terminate "$one"
instances=()
nothing_left_in_work

say "of an AMI of 16 layers: a chain of two"
cd "$scratch"
layers=$scratch/disk
for i in $(seq 15); do
    qemu-img create -q -f qcow2 "layer$i" 64M
    qemu-io -f qcow2 -c "write -P $((i + 16)) $((i + 8))M 64k" "layer$i" >/dev/null
    layers=$layers:$scratch/layer$i
done
tiny "$layers" long "" >/dev/null
one=$("$kiln" run long --type t3.micro --quiet)
instances+=("$one")
equals "$(layers_of long 0 | wc -l)" 16
expect 0 "$kiln" instance stop "$one" --skip-os-shutdown
change "-P 2 4M 1M"
wanted=$(of_instance 0)
expect 0 snapshot short
equals "$(layers_of short 0 | wc -l)" 2
equals "$(layers_of short 0 | head -n 1)" "$(layers_of long 0 | head -n 1)"
equals "$(of_ami short 0)" "$wanted"
expect 0 "$kiln" image verify short
expect 0 "$kiln" instance start "$one"
expect 0 snapshot shorter --no-freeze --wait # on the two, which has all that the 16 have
equals "$(layers_of shorter 0)" "$(layers_of short 0)"
expect 0 "$kiln" instance terminate "$one"
instances=()

tiny "$scratch/disk" small >/dev/null
say "volumes are part of it, and take their chain along: attached live, detached, resized, attached elsewhere, deleted"
data=$("$kiln" volume create --size 64MiB --name data --json | jq -r .volume_id)
volume_files() { # bottom first
    echo "$KILN_HOME/volumes/$data/disk.qcow2"
    jq -r --arg folder "$KILN_HOME/volumes/$data/" '.overlays[] | $folder + .' "$KILN_HOME/volumes/$data/chain.json" 2>/dev/null || true
}
of_volume() {
    local files=()
    mapfile -t files < <(volume_files)
    digest_of "${files[@]}"
}
one=$("$kiln" run small --type t3.micro --quiet --volume /dev/vdb=,delete-on-termination=no)
kept=$("$kiln" instance show "$one" --json | jq -r '.disks[1].volume_id')
instances+=("$one")
qemu-io -f qcow2 -c "write -P 7 1M 1M" "$KILN_HOME/volumes/$data/disk.qcow2" >/dev/null
expect 0 "$kiln" volume attach data "$one"
wanted=$(qemu-img convert -U -O raw "$KILN_HOME/volumes/$data/disk.qcow2" raw && sha256sum <raw)
expect_json snapshot with-data --no-freeze --wait
equals "$("$kiln" image show with-data --json | jq -r '[.ami.block_device_mappings[] | "\(.device) \(.size) \(.delete_on_termination) \(.layers | length)"] | join(", ")')" \
    "/dev/vda 67108864 true 1, /dev/vdb 67108864 true 0, /dev/vdf 67108864 false 1"
equals "$(of_ami with-data 2)" "$wanted"
equals "$(volume_files | wc -l) $(find "$KILN_HOME/volumes/$kept" -name '*.qcow2' | wc -l)" "2 2"
expect 0 "$kiln" volume resize data 96MiB # while the guest has it
expect 0 snapshot larger --no-freeze --wait
equals "$("$kiln" image show larger --json | jq '.ami.block_device_mappings[2].size')" $((96 << 20))
equals "$(layers_of larger 2)" "$(layers_of with-data 2)" # nothing was written
expect 0 snapshot without-data --no-freeze --volumes root --wait
equals "$("$kiln" image show without-data --json | jq '.ami.block_device_mappings | length')" 1
expect 0 "$kiln" volume detach data --force
nobody_has() { ! ls -l "/proc/$(qemu_of)/fd" | grep -F "/$1/"; }
nobody_has "$data" || fail "QEMU has the volume still"
qemu-io -f qcow2 -c "write -P 9 5M 64k" "$(volume_files | tail -n 1)" >/dev/null
expect 0 "$kiln" volume resize data 128MiB # and while nobody has
wanted=$(of_volume)
two=$("$kiln" run small --type t3.micro --quiet --volume /dev/vdb=data) # in the place of an AMI's device
instances+=("$two")
first=$one
one=$two
expect_json snapshot elsewhere --no-freeze
equals "$("$kiln" image show elsewhere --json | jq '.ami.block_device_mappings[1].size')" $((128 << 20))
equals "$(of_ami elsewhere 1)" "$wanted"
expect 0 "$kiln" instance stop "$two" --skip-os-shutdown
expect_json snapshot stopped-data
equals "$(of_ami stopped-data 1)" "$wanted"
equals "$(layers_of stopped-data 1)" "$(layers_of elsewhere 1)"
expect 0 "$kiln" volume detach data
expect 0 "$kiln" volume attach data "$two"
expect 0 "$kiln" volume modify data --delete-on-termination
expect 0 "$kiln" instance start "$two"
slow=$scratch/slow
snapshot while-deleted --no-freeze --rate 1MiB >"$slow" 2>&1 & # reads the volume's files while they go
reader=$!
frozen "$slow"
expect 0 "$kiln" instance terminate "$two"
wait "$reader" || fail "$(cat "$slow")"
equals "$(of_ami while-deleted 1)" "$wanted"
expect 9 "$kiln" volume show data
equals "$(ls "$KILN_HOME/ended/$data" | tr '\n' ' ')" "events.jsonl volume.json "
expect 0 "$kiln" instance terminate "$first"
equals "$("$kiln" volume show "$kept" --json | jq -r .state)" available
expect 0 "$kiln" volume delete "$kept"
instances=()
nothing_left_in_work

say "one that was started and stopped again while it was read keeps what it wrote"
one=$("$kiln" run small --type t3.micro --quiet)
instances+=("$one")
expect 0 "$kiln" instance stop "$one" --skip-os-shutdown
change "-P 5 2M 4M"
wanted=$(of_instance 0)
snapshot begun --rate 1MiB >"$scratch/begun" 2>&1 &
reader=$!
frozen "$scratch/begun"
expect 0 "$kiln" instance start "$one"
expect 0 "$kiln" instance stop "$one" --skip-os-shutdown
change "-P 6 0 64k"
written=$(of_instance 0)
wait "$reader" || fail "$(cat "$scratch/begun")"
equals "$(of_ami begun 0)" "$wanted"
equals "$(of_instance 0)" "$written"
expect 0 "$kiln" instance terminate "$one"
instances=()

say "a full disk in the midst of it: the instance runs on, and nothing is left"
cat >"$scratch/full.sh" <<'END'
set -euo pipefail
mount -t tmpfs -o size=420m tmpfs "$1"
export KILN_HOME=$1/home
head -c 32M /dev/urandom >"$1/random"
qemu-img create -q -f qcow2 "$1/disk" 64M
PUBLISH_TINY_LAYERS=$1/disk "$3/tests/publish_tiny" tiny 1.0.0 >/dev/null
one=$("$2" run tiny --type t3.micro --quiet)
"$2" instance stop "$one" --skip-os-shutdown >/dev/null
qemu-io -f qcow2 -c "write -s $1/random 0 32M" "$KILN_HOME/instances/$one/disks/disk0.qcow2" >/dev/null
rm "$1/random"
"$2" instance start "$one" >/dev/null
"$2" instance snapshot "$one" --exact --no-freeze --rate 8MiB --name full --version 1.0.0 &
snapshot=$!
sleep 2
head -c 1G /dev/zero >"$1/fill" 2>/dev/null || true
status=0
wait "$snapshot" || status=$?
rm "$1/fill"
[ "$("$2" instance show "$one" --json | jq -r .state)" = running ] || status=99
[ -z "$(ls -A "$KILN_HOME/work")" ] || status=98
"$2" instance snapshot "$one" --exact --no-freeze --wait --name full --version 1.0.0 >/dev/null || status=97
"$2" instance terminate "$one" >/dev/null
exit $status
END
mkdir "$scratch/small"
if unshare -rm true 2>/dev/null; then
    expect 5 unshare -rm bash "$scratch/full.sh" "$scratch/small" "$kiln" "$build"
    contains "free some space"
fi
