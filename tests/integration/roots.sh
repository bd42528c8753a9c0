#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bootstraps whose root is not ext4, which the appliance fills from a tar: each builds, boots and grows.
# `roots.sh BUILD TYPE...` tries only these.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img qemu-system-x86_64 supermin

types=("${@:2}")
[ ${#types[@]} -gt 0 ] || types=(xfs btrfs)
for type in "${types[@]}"; do
    cat >"$scratch/$type.toml" <<END
name = "root-$type"
version = "1.0.0"
architecture = "x86_64"
packages = ["dbus", "qemu-guest-agent"]

[base]
bootstrap = "debian"
suite = "bookworm"

[[storage]]
size = "2GiB"

[[storage.partition]]
name = "swap"
size = "64MiB"
filesystem = "swap"

[[storage.partition]]
name = "system"
filesystem = "$type"
options = ["noatime"]
label = "system"
END
    say "a root of $type"
    "$kiln" build "$scratch/$type.toml"
    nothing_left_in_work
    instance=$("$kiln" run "root-$type" --volume /dev/vda=4GiB --wait --quiet)
    instances+=("$instance")
    expect 0 "$kiln" instance exec "$instance" -- systemctl is-system-running --wait
    equals "$output" running
    expect 0 "$kiln" instance exec "$instance" -- sh -c \
        'findmnt -no FSTYPE,LABEL / && findmnt -no OPTIONS / | grep -o noatime && stat -c %a /usr/bin/passwd && cat /proc/swaps | wc -l'
    equals "$(tr -s ' \n' ' ' <<<"$output")" "$type system noatime 4755 2 "
    expect 0 "$kiln" instance exec "$instance" -- df --output=size -BM /
    size=$(tail -n 1 <<<"$output" | tr -d ' M')
    [ "$size" -gt 3700 ] || fail "the root did not grow: it has $size MiB of 4 GiB"
    expect 0 "$kiln" instance terminate "$instance"
done
