#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What comes from outside becomes an AMI that boots: a whole disk, a root file system as a tar, another one as a
# container image. `rootfs.sh BUILD CASE...` tries only these. Slow: the bare tar takes kernel, systemd and initramfs in
# the appliance.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img qemu-system-x86_64 supermin zstd jq

# recipe_of NAME: of a recipe, whose tests ask for a whole system.
recipe_of() {
    cat <<END
name = "$1"
version = "1.0.0"
architecture = "x86_64"
packages = ["dbus", "qemu-guest-agent"]

[[test]]
name = "is up"
run = "systemctl is-system-running --wait"
output = "running"
timeout = "4min"

[[test]]
name = "kept what set-id programs need"
run = "stat -c %a /usr/bin/passwd"
output = "4755"

[[test]]
name = "is from outside"
run = "cat /etc/issue"
output = "from $1"
END
}

# rootfs FORMAT FILE SHA256 FILESYSTEM: the base and its volume.
rootfs() {
    cat <<END

[base]
rootfs = "$2"
format = "$1"
sha256 = "$3"

[[storage]]
size = "2GiB"
filesystem = "$4"

[[test]]
name = "has its root"
run = "findmnt -no FSTYPE /"
output = "$4"
END
}

# boots NAME
boots() {
    "$kiln" build "$scratch/$1.toml"
    "$kiln" image verify "$1"
    "$kiln" test "$1" || fail "$1 does not pass its tests"
    nothing_left_in_work
}

# As somebody would hand it over: one file, with the chain of layers merged.
try_disk() {
    say "the disk of another system"
    local hex chain=null
    "$kiln" image show debian-12@1.0.0 --json >"$scratch/image.json"
    for hex in $(jq -r '.ami.block_device_mappings[0].layers[].digest | ltrimstr("sha256:")' "$scratch/image.json"); do
        chain=$(jq -nc --argjson below "$chain" --arg file "$KILN_HOME/regions/local/blobs/sha256/$hex" \
            '{driver: "qcow2", backing: $below, file: {driver: "file", filename: $file}}')
    done
    qemu-img convert -O qcow2 "json:$chain" "$scratch/other.qcow2"
    {
        recipe_of outside-disk
        cat <<END

[base]
disk = "other.qcow2"
format = "qcow2"
sha256 = "$(sha256sum "$scratch/other.qcow2" | cut -d' ' -f1)"

[[step]]
file = "/etc/issue"
content = "from outside-disk\n"
END
    } >"$scratch/outside-disk.toml"
    boots outside-disk
}

try_tar() {
    say "a tar that another tool made, without kernel and systemd"
    mmdebstrap --quiet --variant=apt --customize-hook='echo from outside-tar >"$1/etc/issue"' bookworm "$scratch/root.tar.zst"
    {
        recipe_of outside-tar
        rootfs tar root.tar.zst "$(sha256sum "$scratch/root.tar.zst" | cut -d' ' -f1)" ext4
    } >"$scratch/outside-tar.toml"
    boots outside-tar
}

# blob FILE TYPE: stores it, prints its descriptor.
blob() {
    local hex
    hex=$(sha256sum "$1" | cut -d' ' -f1)
    cp "$1" "$scratch/oci/blobs/sha256/$hex"
    jq -nc --arg t "$2" --arg d "sha256:$hex" --argjson s "$(stat -c %s "$1")" '{mediaType: $t, digest: $d, size: $s}'
}

try_oci() {
    say "a container image of two layers with a whole system, on btrfs"
    mmdebstrap --quiet --variant=apt --include=systemd-sysv,udev,dbus,qemu-guest-agent,linux-image-cloud-amd64,grub-pc,btrfs-progs \
        bookworm "$scratch/whole.tar.zst"
    mkdir -p "$scratch/oci/blobs/sha256" "$scratch/upper"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$scratch/oci/oci-layout"
    echo "from outside-oci" >"$scratch/upper/issue"
    tar -C "$scratch" --transform 's,^upper,etc,' -cf "$scratch/upper.tar" upper/issue
    echo '{"architecture":"amd64","os":"linux"}' >"$scratch/config.json"
    jq -nc --argjson c "$(blob "$scratch/config.json" application/vnd.oci.image.config.v1+json)" \
        --argjson a "$(blob "$scratch/whole.tar.zst" application/vnd.oci.image.layer.v1.tar+zstd)" \
        --argjson b "$(blob "$scratch/upper.tar" application/vnd.oci.image.layer.v1.tar)" \
        '{schemaVersion: 2, config: $c, layers: [$a, $b]}' >"$scratch/manifest.json"
    {
        recipe_of outside-oci
        rootfs oci oci "$(blob "$scratch/manifest.json" application/vnd.oci.image.manifest.v1+json |
            jq -r '.digest | ltrimstr("sha256:")')" btrfs
    } >"$scratch/outside-oci.toml"
    boots outside-oci
}

cases=("${@:2}")
[ ${#cases[@]} -gt 0 ] || cases=(disk tar oci)
for case in "${cases[@]}"; do
    "try_$case"
done
