#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A root file system from outside becomes an AMI that boots: as a tar, and the same as the layer of a container image.
# Slow: without KVM each guest takes its kernel and initramfs in the appliance.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img qemu-system-x86_64 supermin zstd jq

say "a tar that another tool made"
mmdebstrap --quiet --variant=apt bookworm "$scratch/root.tar.zst"

# recipe NAME FORMAT FILE SHA256 [FILESYSTEM]
recipe() {
    cat >"$scratch/$1.toml" <<END
name = "$1"
version = "1.0.0"
architecture = "x86_64"
packages = ["dbus", "qemu-guest-agent"]

[base]
rootfs = "$3"
format = "$2"
sha256 = "$4"

[[storage]]
size = "2GiB"
filesystem = "${5:-ext4}"

[[test]]
name = "is up"
run = "systemctl is-system-running --wait"
output = "running"
timeout = "4min"

[[test]]
name = "has its root"
run = "findmnt -no FSTYPE /"
output = "${5:-ext4}"

[[test]]
name = "kept what set-id programs need"
run = "stat -c %a /usr/bin/passwd"
output = "4755"
END
}

# boots NAME
boots() {
    "$kiln" build "$scratch/$1.toml"
    "$kiln" image verify "$1"
    "$kiln" test "$1"
    nothing_left_in_work
}

digest=$(sha256sum "$scratch/root.tar.zst" | cut -d' ' -f1)
recipe rootfs-tar tar root.tar.zst "$digest"
boots rootfs-tar

say "the layer of a container image, on btrfs"
blobs=$scratch/oci/blobs/sha256
mkdir -p "$blobs"
echo '{"imageLayoutVersion":"1.0.0"}' >"$scratch/oci/oci-layout"
# blob FILE TYPE: stores it, prints its descriptor.
blob() {
    local hex
    hex=$(sha256sum "$1" | cut -d' ' -f1)
    cp "$1" "$blobs/$hex"
    jq -nc --arg t "$2" --arg d "sha256:$hex" --argjson s "$(stat -c %s "$1")" '{mediaType: $t, digest: $d, size: $s}'
}
mkdir "$scratch/upper"
echo "from the upper layer" >"$scratch/upper/issue"
tar -C "$scratch" --transform 's,^upper,etc,' -cf "$scratch/upper.tar" upper/issue
echo '{"architecture":"amd64","os":"linux"}' >"$scratch/config.json"
jq -nc --argjson c "$(blob "$scratch/config.json" application/vnd.oci.image.config.v1+json)" \
    --argjson a "$(blob "$scratch/root.tar.zst" application/vnd.oci.image.layer.v1.tar+zstd)" \
    --argjson b "$(blob "$scratch/upper.tar" application/vnd.oci.image.layer.v1.tar)" \
    '{schemaVersion: 2, config: $c, layers: [$a, $b]}' >"$scratch/manifest.json"
digest=$(blob "$scratch/manifest.json" application/vnd.oci.image.manifest.v1+json | jq -r '.digest | ltrimstr("sha256:")')
recipe rootfs-oci oci oci "$digest" btrfs
printf '\n[[test]]\nname = "has the upper layer"\nrun = "cat /etc/issue"\noutput = "from the upper layer"\n' \
    >>"$scratch/rootfs-oci.toml"
boots rootfs-oci
