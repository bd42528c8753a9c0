# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced after lib.sh: a guest that QEMU boots in a second and libguestfs takes for a Debian. Its boot sector writes one
# line to the serial port and halts; behind it is an ext4 file system with little more than os-release and dpkg's list.

tiny_uuid=6b696c6e-0000-4000-8000-000000000001

# bytes HEX...: as they are.
bytes() { printf '%b' "$(printf '\\x%s' "$@")"; }
# overwrite FILE OFFSET: with standard input.
overwrite() { dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# boot_sector LINE: 512 bytes with one partition, of Linux, from sector 2048 on.
boot_sector() {
    local code line=$1
    # xor ax,ax; mov ds,ax; mov si,0x7c16; cld; 8: lodsb; test al,al; jz 13; mov dx,0x3f8; out dx,al; jmp 8; 13: hlt; jmp 13
    code="31 c0 8e d8 be 16 7c fc ac 84 c0 74 06 ba f8 03 ee eb f5 f4 eb fd"
    head -c 512 /dev/zero >"$scratch/sector"
    # shellcheck disable=SC2086 # words
    { bytes $code && printf '%s\r\n' "$line"; } | overwrite "$scratch/sector" 0
    bytes 80 20 21 00 83 fe ff ff 00 08 00 00 00 e0 00 00 | overwrite "$scratch/sector" 446 # 57,344 sectors
    bytes 55 aa | overwrite "$scratch/sector" 510
    cat "$scratch/sector"
}

# tiny_disk FILE LINE: raw, 30 MiB; its guest says LINE.
tiny_disk() {
    local tree=$scratch/tree
    rm -rf "$tree"
    mkdir -p "$tree"/{bin,boot,dev,etc,proc,root,run,sys,tmp,usr/bin,var/{lib/dpkg,log,tmp}}
    cp "$(type -P true)" "$tree/bin/ls" # which tells what machine it is for
    printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (tiny)"\n' >"$tree/etc/os-release"
    echo 12.0 >"$tree/etc/debian_version"
    echo tiny >"$tree/etc/hostname"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
    printf 'Package: tiny\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n\n' >"$tree/var/lib/dpkg/status"
    echo "UUID=$tiny_uuid / ext4 defaults 0 1" >"$tree/etc/fstab"
    rm -f "$1"
    truncate -s 30M "$1"
    boot_sector "$2" | overwrite "$1" 0
    mke2fs -q -t ext4 -U "$tiny_uuid" -d "$tree" -E "offset=$((2048 * 512))" "$1" 28M
}

# says INSTANCE LINE: waits until its console has it, up to 60 s.
says() {
    for _ in $(seq 300); do
        "$kiln" instance console "$1" 2>/dev/null | grep -qF -- "$2" && return 0
        sleep 0.2
    done
    fail "the guest of $1 did not say '$2': $("$kiln" instance console "$1" 2>&1 | tail -n 3)"
}

# tiny_home FOLDER: an empty home that has the shared one's saved appliance.
tiny_home() {
    rm -rf "$1"
    mkdir -m 700 "$1"
    if [ -d "$build/integration-home/cache/appliance" ]; then
        mkdir "$1/cache"
        cp -al "$build/integration-home/cache/appliance" "$1/cache/appliance"
    fi
}
