#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A foreign disk becomes a signed AMI that boots; a chain that is too long is flattened when a child is made of it; an
# image goes by a registry to a second account's home, where it is verified and launched, and a third is refused. With a
# guest of one boot sector, so that all of it takes seconds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_tiny_guest.sh"
. "$(dirname "$0")/lib_remote.sh"
need jq qemu-img qemu-io qemu-system-x86_64 mke2fs
one=$build/tiny-home two=$scratch/two three=$scratch/three
tiny_home "$one"
export KILN_HOME=$one
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy REGISTRY_AUTH_FILE DOCKER_CONFIG
cd "$scratch"
remove_homes() {
    for id in "${instances[@]}"; do
        for home in "$one" "$two"; do
            KILN_HOME=$home "$kiln" instance terminate "$id" >/dev/null 2>&1 || true
        done
    done
    instances=()
    rm -rf "$one"
}
at_end+=(remove_homes)
launch() { "$kiln" run "$1" --type t3.micro --quiet; }
ami() { "$kiln" image show "$1" --json | jq -r ".ami$2"; }

say "import: a foreign disk becomes an AMI that boots"
tiny_disk tiny.raw "kiln: the foreign disk"
qemu-img convert -O qcow2 tiny.raw tiny.qcow2
expect 0 "$kiln" image import tiny.qcow2 --arch x86_64 --boot bios --description "Not from here" --json
equals "$(ami tiny '|"\(.version) \(.source.kind) \(.boot_mode) \(.os.name) \(.software[0].name) \(.description)"')" \
    "1.0.0 disk bios Debian GNU/Linux 12 (tiny) tiny Not from here"
equals "$(ami tiny .source.disk)" "sha256:$(sha256sum tiny.qcow2 | cut -d' ' -f1)"
equals "$(ami tiny '.block_device_mappings[0]|"\(.size) \(.file_systems[0].filesystem) \(.layers|length)"')" "31457280 ext4 2"
expect 0 "$kiln" image verify tiny
expect 0 "$kiln" image show tiny --sbom
contains '"tiny"'
expect 0 "$kiln" image list --from custom --json
equals "$output" "[]"
expect 0 "$kiln" image list --filter source=disk --json
equals "$(jq -r '.[0].name' <<<"$output")" tiny
nothing_left_in_work
id=$(launch tiny)
instances+=("$id")
says "$id" "kiln: the foreign disk"
confined "$id"
expect 0 "$kiln" instance terminate "$id"

say "import: a disk for another machine, and one without a system"
cp tiny.raw arm.raw
printf '\xb7\0' >machine # EM_AARCH64
tree_ls=$(LC_ALL=C grep -obUaP '\x7fELF' arm.raw | head -n 1 | cut -d: -f1)
overwrite arm.raw $((tree_ls + 18)) <machine
expect 8 "$kiln" image import arm.raw --arch x86_64 --boot bios
contains "the system on the disk is one for aarch64, not for x86_64"
truncate -s 4M empty.raw
expect 8 "$kiln" image import empty.raw --arch x86_64 --boot bios
contains "there is no operating system on the disks"
expect 9 "$kiln" image show arm

say "a child of a chain of 16 layers is one of two, with all that the 16 said"
qemu-img convert -O qcow2 tiny.raw chain-0.qcow2
chain=chain-0.qcow2
for i in $(seq 15); do
    qemu-img create -q -f qcow2 -b "chain-$((i - 1)).qcow2" -F qcow2 "chain-$i.qcow2"
    if [ "$i" = 9 ]; then
        boot_sector "kiln: layer 9 of the chain" >sector-9
        qemu-io -f qcow2 -c "write -q -s sector-9 0 512" "chain-$i.qcow2" >/dev/null
    fi
    chain=$chain:chain-$i.qcow2
done
for i in $(seq 15); do
    qemu-img rebase -u -b "" "chain-$i.qcow2"
done
PUBLISH_TINY_LAYERS=$chain "$build/tests/publish_tiny" long 1.0.0 >/dev/null
equals "$(ami long '.block_device_mappings[0].layers|length')" 16
base=$(ami long .block_device_mappings[0].layers[0].digest)
cat >child.toml <<'END'
name = "child"
version = "1.0.0"
architecture = "x86_64"
[base]
ami = "long"
[[step]]
file = "/etc/kept"
content = "kept"
END
expect 0 "$kiln" build child.toml
equals "$(ami child '.block_device_mappings[0].layers|length')" 2
equals "$(ami child .block_device_mappings[0].layers[0].digest)" "$base"
expect 0 "$kiln" image verify child
id=$(launch child)
instances+=("$id")
says "$id" "kiln: layer 9 of the chain"
expect 0 "$kiln" instance terminate "$id"

say "and made again from the cache, of as few layers"
sed -i 's/^version = .*/version = "1.0.1"/' child.toml
expect 0 "$kiln" build child.toml
equals "$(ami child@1.0.1 '.block_device_mappings[0].layers|map(.digest)|tojson')" \
    "$(ami child@1.0.0 '.block_device_mappings[0].layers|map(.digest)|tojson')"

if ! command -v docker-registry >/dev/null; then
    skip "the program docker-registry is not installed: all but it was tested"
fi
say "built here, pushed, pulled by an account that was given permission, verified, launched"
serve plain
remote=oci://127.0.0.1:$port/team/child
account=$("$kiln" key show --json | jq -r .account)
"$kiln" key show --json | jq -r .public_key >one.pem
for home in "$two" "$three"; do
    KILN_HOME=$home "$kiln" key create >/dev/null
    KILN_HOME=$home "$kiln" key trust "$account" one.pem >/dev/null
done
guest=$(KILN_HOME=$two "$kiln" key show --json | jq -r .account)
expect 0 "$kiln" image share child --account "$guest"
expect 0 "$kiln" image push child "$remote" -q
export KILN_HOME=$two
expect 0 "$kiln" image pull "$remote:child-1.0.1-x86_64" -q
expect 0 "$kiln" image verify child
id=$(launch child)
instances+=("$id")
says "$id" "kiln: layer 9 of the chain"
expect 0 "$kiln" instance terminate "$id"

say "a third account is refused, by the registry's image and by the second's region"
export KILN_HOME=$three
expect 15 "$kiln" image pull "$remote:child-1.0.1-x86_64" -q
equals "$("$kiln" image list --all --json)" "[]"
rm -rf "$three/regions/local"
ln -s "$one/regions/local" "$three/regions/local"
expect 15 "$kiln" run child --quiet
equals "$("$kiln" instance list --json)" "[]"
