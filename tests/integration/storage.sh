#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of volume on a child of the shared AMI, made once and looked at in two boots: as built, by `kiln test`, and
# on larger volumes. Steps whose effect only a boot shows (modules, locales) come along. Slow: packages and an
# initramfs in the appliance.
. "$(dirname "$0")/lib.sh"
need qemu-img qemu-system-x86_64 jq

canary=canary-9d41e70c53
cat >"$scratch/storage.toml" <<END
name = "storage-child"
version = "1.0.0"
architecture = "x86_64"
packages = ["locales"]

[base]
ami = "debian-12@1.x.x"

[[storage]]
device = "/dev/vda"
size = "3GiB"

[[storage]]
device = "/dev/vdb"
size = "640MiB"

[[storage.partition]]
name = "swap"
size = "64MiB"
filesystem = "swap"

[[storage.partition]]
name = "exchange"
size = "64MiB"
filesystem = "vfat"
mount = "/srv/exchange"
label = "EXCHANGE"

[[storage.partition]]
name = "log"
filesystem = "ext4"
mount = "/var/log"
options = ["noatime"]

[[storage]]
device = "/dev/vdc"
size = "1GiB"
volume_group = "data"

[[storage.logical_volume]]
name = "mail"
size = "256MiB"
filesystem = "ext4"
mount = "/srv/mail"

[[storage.logical_volume]]
name = "db-1"
filesystem = "xfs"
mount = "/srv/db"

[[storage]]
device = "/dev/vdd"
size = "256MiB"
filesystem = "btrfs"
mount = "/srv/tree"
options = ["compress=zstd"]
label = "tree"

[[storage]]
device = "/dev/vde"
size = "64MiB"
encrypted = true
filesystem = "ext4"
mount = "/srv/secret"

[[storage]]
device = "/dev/vdf"
size = "384MiB"
encrypted = true
volume_group = "vault"

[[storage.logical_volume]]
name = "deep"
filesystem = "xfs"
mount = "/srv/deep"

[[step]]
locale = "de_DE.UTF-8"

[[step]]
kernel_modules = { load = ["loop"], block = ["dummy"] }

[[step]]
run = """
for folder in exchange mail db tree secret deep; do
    mountpoint -q /srv/\$folder
    echo "$canary on \$folder" >/srv/\$folder/file
done
"""

[[test]]
name = "boots without a failed unit"
run = "systemctl is-system-running --wait"
output = "running"
timeout = "4min"

[[test]]
name = "has what the build wrote"
run = "cd /srv && cat exchange/file mail/file db/file tree/file secret/file deep/file"
output = """
$canary on exchange
$canary on mail
$canary on db
$canary on tree
$canary on secret
$canary on deep"""

[[test]]
name = "fstab has nothing but UUIDs"
run = "grep -v '^#' /etc/fstab | grep -vc '^UUID='"
status = 1
output = "0"

[[test]]
name = "a mounted folder kept what the root had there, with its mode"
run = "stat -c '%a %U:%G' /var/log/btmp && findmnt -no OPTIONS /var/log | grep -o noatime"
output = "660 root:utmp\nnoatime"

[[test]]
name = "device mapper has the encrypted volumes below their file systems"
run = "for d in vde vdf; do lsblk -nro TYPE /dev/\$d; done | sort | uniq -c | tr -s ' '"
output = "2 crypt\n 2 disk\n 1 lvm"

[[test]]
name = "the key is root's alone"
run = "stat -c '%a %U' /etc/cryptsetup-keys.d /etc/cryptsetup-keys.d/vde_crypt.key"
output = "700 root\n400 root"

[[test]]
name = "the root took the larger volume of the recipe"
run = "test \$(df --output=size -B1 / | tail -n 1) -gt \$((2700 << 20))"
timeout = "2min"

[[test]]
name = "speaks German"
run = ". /etc/default/locale && LC_ALL=\$LANG date -ud @0 +%A"
output = "Donnerstag"

[[test]]
name = "loads a module"
run = "test -d /sys/module/loop"

[[test]]
name = "never loads a blocked one"
run = "! /sbin/modprobe dummy && test ! -d /sys/module/dummy"

[[test]]
name = "the initramfs knows of it"
run = "lsinitramfs /boot/initrd.img-* | grep -c 'modprobe.d/kiln-00.conf'"
output = "1"
END

say "build"
"$kiln" build "$scratch/storage.toml"
nothing_left_in_work
expect 0 "$kiln" image verify storage-child

say "as built"
"$kiln" test storage-child --junit "$scratch/storage.xml" || fail "it does not pass its tests"
grep -q 'file systems are mounted' "$scratch/storage.xml" || fail "no test of its file systems was derived"

say "what is encrypted is not in the raw bytes; what is not, is"
"$kiln" image show storage-child --json >"$scratch/image.json"
# holds_canary DEVICE: whether any layer of the volume does.
holds_canary() {
    local hex found=1
    for hex in $(jq -r --arg d "$1" '.ami.block_device_mappings[] | select(.device == $d) | .layers[].digest | ltrimstr("sha256:")' \
        "$scratch/image.json"); do
        qemu-img convert -f qcow2 -O raw "$KILN_HOME/regions/local/blobs/sha256/$hex" "$scratch/raw"
        if grep -qaF -- "$canary" "$scratch/raw"; then found=0; fi
        rm "$scratch/raw"
    done
    return $found
}
mappings='[["/dev/vda",false],["/dev/vdb",false],["/dev/vdc",false],["/dev/vdd",false],["/dev/vde",true],["/dev/vdf",true]]'
equals "$(jq -c '[.ami.block_device_mappings[] | [.device, .encrypted]]' "$scratch/image.json")" "$mappings"
for device in vdb vdc vdd; do
    holds_canary /dev/$device || fail "the look at /dev/$device finds nothing"
done
for device in vda vde vdf; do
    if holds_canary /dev/$device; then fail "what was encrypted is on /dev/$device"; fi
done

say "an instance with larger volumes: the root, and a file system that has a volume of its own"
instance=$("$kiln" run storage-child --volume /dev/vda=5GiB --volume /dev/vdd=1GiB --volume /dev/vde=256MiB --wait --quiet)
instances+=("$instance")
# mebibytes MOUNT: what df says of it once the boot has ended.
mebibytes() { "$kiln" instance exec "$instance" -- df --output=size -BM "$1" | tail -n 1 | tr -d ' M'; }
expect 0 "$kiln" instance exec "$instance" -- systemctl is-system-running --wait
[ "$(mebibytes /)" -gt 4600 ] || fail "the root did not grow: $(mebibytes /) MiB of 5 GiB"
[ "$(mebibytes /srv/tree)" -gt 900 ] || fail "the btrfs volume did not grow: $(mebibytes /srv/tree) MiB of 1 GiB"
[ "$(mebibytes /srv/secret)" -gt 180 ] || fail "the encrypted volume did not grow: $(mebibytes /srv/secret) MiB of 256"
expect 0 "$kiln" instance exec "$instance" -- cat /srv/secret/file /srv/tree/file
contains "$canary on secret"
contains "$canary on tree"
expect 0 "$kiln" instance terminate "$instance"
nothing_runs "$instance"

say "a child of it finds and mounts all of that, too"
cat >"$scratch/grandchild.toml" <<END
name = "storage-grandchild"
version = "1.0.0"
architecture = "x86_64"

[base]
ami = "storage-child@1.x.x"

[[step]]
run = """
for folder in exchange mail db tree secret deep; do
    mountpoint -q /srv/\$folder
    echo "$canary on \$folder" | cmp - /srv/\$folder/file
done
mountpoint -q /var/log
"""
END
"$kiln" build "$scratch/grandchild.toml"
equals "$("$kiln" image show storage-grandchild --json | jq -c '[.ami.block_device_mappings[] | [.device, .encrypted]]')" "$mappings"
nothing_left_in_work
