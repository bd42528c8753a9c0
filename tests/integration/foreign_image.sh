#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `kiln image import` of disk images that other people made, as far as Kiln's own checks go: what is hostile, mislabelled
# or unclear is refused before anything opens it. Needs no guest: a part of the unit tests (tiny_guest.sh has the rest).
. "$(dirname "$0")/lib.sh"
need jq qemu-img
export KILN_HOME=$scratch/home
cd "$scratch"
import=("$kiln" image import)
x86=(--arch x86_64 --boot bios)
mkdir "$scratch/tools"
for program in qemu-img qemu-storage-daemon qemu-system-x86_64 supermin; do
    printf '#!/bin/sh\ntouch %s\nexit 1\n' "$scratch/opened" >"$scratch/tools/$program"
    chmod +x "$scratch/tools/$program"
done
# refused STATUS TEXT ARGUMENT...: by Kiln itself; no program of QEMU's ran and nothing is published.
refused() {
    local status=$1 text=$2
    shift 2
    expect "$status" env PATH="$scratch/tools:$PATH" "${import[@]}" "$@"
    contains "$text"
    [ ! -e "$scratch/opened" ] || fail "a program of QEMU's ran for: $*"
    equals "$("$kiln" image list --all --json)" "[]"
}

say "what it is has to be said"
qemu-img create -q -f qcow2 good.qcow2 1M
refused 2 "good.qcow2 has the name of a qcow2 disk image, not of a bundle" good.qcow2
refused 2 "--boot" good.qcow2 --arch x86_64
refused 2 "--arch" good.qcow2 --boot bios
refused 2 "--arch" good.qcow2 --name good
refused 2 "--arch" good.qcow2 --arch z80 --boot bios
refused 2 "--boot" good.qcow2 --arch x86_64 --boot dos
refused 2 '"1.0" is not a version' good.qcow2 "${x86[@]}" --version 1.0
refused 2 '--name: "../x" is not an image name' good.qcow2 "${x86[@]}" --name ../x
refused 2 "--description" good.qcow2 "${x86[@]}" --description $'\e[31m'
refused 2 "--sha256" good.qcow2 "${x86[@]}" --sha256 12
refused 2 "is not an image name" - "${x86[@]}" --format raw
cp good.qcow2 UPPER.qcow2
refused 2 '"UPPER" is not an image name' UPPER.qcow2 "${x86[@]}"
cp good.qcow2 good.img
refused 2 "the name good.img does not say what format it is in" good.img "${x86[@]}"
refused 9 "opening nothing.qcow2" nothing.qcow2 "${x86[@]}"
mkdir folder.qcow2
refused 11 "it is not a regular file" folder.qcow2 "${x86[@]}" --name folder
mkfifo pipe.qcow2
refused 11 "it is not a regular file" pipe.qcow2 "${x86[@]}"

say "hostile headers"
qemu-img create -q -f qcow2 -F raw -b good.qcow2 backed.qcow2
refused 11 "the disk image backed.qcow2 can't be used as qcow2" backed.qcow2 "${x86[@]}"
qemu-img create -q -f qcow2 -o data_file=elsewhere.raw external.qcow2 1M
refused 11 "external" external.qcow2 "${x86[@]}"
cp good.qcow2 labelled.raw
refused 11 "the disk image labelled.raw can't be used as raw" labelled.raw "${x86[@]}"
truncate -s 1M zeroes.qcow2
refused 11 "can't be used as qcow2" zeroes.qcow2 "${x86[@]}"
refused 11 "can't be used as vmdk" good.img "${x86[@]}" --format vmdk
printf '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/shadow" 0\n' >flat.vmdk
refused 11 "the disk image flat.vmdk can't be used as vmdk" flat.vmdk "${x86[@]}"
cp good.qcow2 huge.qcow2
printf '\x7f\xff\xff\xff\xff\xff\xfe\x00' | dd of=huge.qcow2 bs=1 seek=24 conv=notrunc status=none
refused 11 "can't be used as qcow2" huge.qcow2 "${x86[@]}"

say "another digest, and a name that is taken"
expect 11 "${import[@]}" good.qcow2 "${x86[@]}" --sha256 "$(printf '0%.0s' $(seq 64))"
contains "good.qcow2 has the digest sha256:"
equals "$("$kiln" image list --all --json)" "[]"
[ -z "$(ls -A "$KILN_HOME/work" 2>/dev/null)" ] || fail "left behind: $(ls -A "$KILN_HOME/work")"
"$build/tests/publish_tiny" good 1.0.0 >/dev/null
expect 10 "${import[@]}" good.qcow2 "${x86[@]}"
contains "raise the version"
equals "$("${import[@]}" good.qcow2 "${x86[@]}" --json 2>/dev/null | jq -r '.error.kind')" conflict
