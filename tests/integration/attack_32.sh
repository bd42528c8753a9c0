#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attack 32: the disk gets full while an instance runs. Its guest is paused, and says so; the records stay whole, and
# commands work; with space the guest goes on, and no write of its was lost; it can be terminated on the full disk. The
# home is a small file system in mounts of the test's own; the guest is the host's kernel with busybox, which a stand-in
# adds to QEMU's arguments.
if [ -z "${KILN_TEST_MOUNTS-}" ]; then
    options=(-m)
    [ "$(id -u)" = 0 ] || options=(-rm)
    unshare "${options[@]}" true 2>/dev/null || { echo "SKIP: this user may make no mounts of its own"; exit 77; }
    KILN_TEST_MOUNTS=1 exec unshare "${options[@]}" "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
need jq busybox cpio modprobe qemu-img
busybox=$(command -v busybox)
file -L "$busybox" 2>/dev/null | grep -q "dynamically" && skip "busybox is not a static one (apt-get install busybox-static)"
kernel=$(find /boot -name 'vmlinuz-*-cloud-amd64' -readable | sort -V | tail -n 1)
[ -n "$kernel" ] || skip "there is no cloud kernel in /boot that this user can read"
qemu=$(command -v qemu-system-x86_64) || skip "the program qemu-system-x86_64 is not installed"
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg
mkdir -m 700 "$KILN_HOME"
mount -t tmpfs -o size=320m,mode=700 none "$KILN_HOME" || skip "no tmpfs can be mounted"
end_of_home() { # lib.sh removes the folder
    [ -z "${id-}" ] || "$kiln" instance terminate "$id" >/dev/null 2>&1
    umount -l "$KILN_HOME"
}
at_end+=(end_of_home)

root=$scratch/root
mkdir -p "$root"/{bin,modules,dev,proc,sys}
cp "$busybox" "$root/bin/busybox"
while read -r _ module; do
    cp "$module" "$root/modules/"
    basename "$module" >>"$root/modules/order"
done < <(for name in virtio_pci virtio_blk; do
    modprobe -S "${kernel#/boot/vmlinuz-}" --show-depends $name | grep ^insmod
done)
# It writes blocks of a MiB, each of its own, reads each back past its cache, and begins anew with other ones.
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
while [ ! -e /dev/vda ]; do sleep 0.1; done
head -c 1048560 /dev/urandom >/noise
n=0
while [ $n -lt 90 ]; do
    n=$((n + 1))
    { printf '%015d\n' $n; cat /noise; } >/block
    if dd if=/block of=/dev/vda bs=1M seek=$n conv=fsync 2>/dev/null; then
        echo 3 >/proc/sys/vm/drop_caches
        dd if=/dev/vda bs=1M skip=$n count=1 2>/dev/null | cmp - /block && echo "WROTE $n" || echo "LOST $n"
    else
        echo "FAILED $n"
    fi
done
echo "ALL WRITTEN"
while :; do sleep 60; done
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$scratch/initrd"
mkdir "$scratch/bin"
cat >"$scratch/bin/qemu-system-x86_64" <<END
#!/bin/bash
exec $qemu "\${@/,bootindex=0/}" -kernel $kernel -initrd $scratch/initrd -append "console=ttyS0 quiet"
END
chmod +x "$scratch/bin/qemu-system-x86_64"
reachable "$scratch/bin"
export PATH=$scratch/bin:$PATH

console() { tr -d '\r' <"$KILN_HOME/instances/$id/console.log"; }
field() { "$kiln" instance show "$id" --json | jq -r "$1"; }
written() { console | sed -n 's/^WROTE //p' | tail -n 1; }
await() { # CONDITION...: up to 90 s
    for _ in $(seq 900); do
        "$@" && return 0
        sleep 0.1
    done
    fail "not within 90 s: $*; $("$kiln" instance show "$id"); $(console | tail -n 5); $(df "$KILN_HOME")"
}
take_all_but() { # BYTES
    fallocate -l $(($(df --output=avail -B1 "$KILN_HOME" | tail -n 1) - $1)) "$KILN_HOME/others"
}
is_paused() { [[ $(field .state_reason) == *"no space is left in $KILN_HOME"* ]]; }
goes_on() { [ "$(field .state_reason)" = null ]; }
says() { console | grep -x "$1" >/dev/null; }
records_are_whole() {
    local file
    for file in "$KILN_HOME"/instances/*/instance.json; do
        jq -e .instance_id "$file" >/dev/null || fail "$file is not whole"
    done
    # A line that found no space is cut off, and the next one begins anew.
    { grep -a '"running"' "$KILN_HOME/instances/$id/events.jsonl" | jq -e .event; } >/dev/null || fail "the log is lost"
}

say "the disk gets full while the guest writes: it is paused, and that is said"
"$build/tests/publish_tiny" tiny 1.0.0 >/dev/null
id=$("$kiln" run tiny --type t3.micro --network none --quiet)
take_all_but $((24 << 20)) # a launch wants more
confined "$id"
await is_paused
equals "$(field .state)" running
before=$(written)
expect 0 "$kiln" instance list
contains "running (paused)"
expect 0 "$kiln" instance show "$id"
contains "free some there"
console | grep -E "FAILED|LOST" && fail "the guest saw an error"

say "the records are whole, and commands work"
df "$KILN_HOME" | tail -n 1
records_are_whole
expect 0 "$kiln" usage --json
jq -e --arg id "$id" '.rows[] | select(.key == $id)' <<<"$output" >/dev/null || fail "it is not billed: $output"
expect 0 "$kiln" image list
contains tiny
output=$("$kiln" registry check 2>&1) || contains "free some space" # it notes that it is at work
expect 5 "$kiln" run tiny --type t3.micro --network none --quiet
contains "pace"
equals "$("$kiln" instance list --quiet)" "$id"
records_are_whole

say "a supervisor that is killed meanwhile is replaced by one that knows"
kill -KILL "$(pgrep -f -- "supervise $id\$")"
expect 0 "$kiln" instance screenshot "$id" "$scratch/screen.png"
await is_paused

say "with space it goes on by itself, and nothing was lost"
rm "$KILN_HOME/others"
await goes_on
await says "WROTE $((before + 3))"
expect 0 "$kiln" registry check
records_are_whole

say "full again: it can be terminated"
head -c 1G /dev/zero >"$KILN_HOME/others" 2>/dev/null && fail "it is not full"
await is_paused
console | grep -E "FAILED|LOST" && fail "the guest saw an error"
expect 0 "$kiln" instance terminate "$id"
equals "$("$kiln" instance list --quiet)" ""
equals "$("$kiln" instance show "$id" --json | jq -r .state)" terminated
nothing_runs "guest=$id,"
nothing_runs "supervise $id\$"
[ "$(df --output=avail -BM "$KILN_HOME" | tail -n 1 | tr -dc 0-9)" -gt 16 ] || fail "its space is not free"
expect 0 "$kiln" usage
expect 0 "$kiln" registry check
