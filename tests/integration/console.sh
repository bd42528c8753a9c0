#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A terminal at a guest's serial port: what is typed there arrives, what the guest says comes back and is in the log too;
# Ctrl-] leaves it, and the guest runs on. The guest is the host's kernel with busybox's shell, which a stand-in adds to
# QEMU's arguments.
. "$(dirname "$0")/lib.sh"
need jq busybox cpio qemu-img script
busybox=$(command -v busybox)
file -L "$busybox" 2>/dev/null | grep -q "dynamically" && skip "busybox is not a static one (apt-get install busybox-static)"
kernel=$(find /boot -name 'vmlinuz-*-cloud-amd64' -readable | sort -V | tail -n 1)
[ -n "$kernel" ] || skip "there is no cloud kernel in /boot that this user can read"
qemu=$(command -v qemu-system-x86_64) || skip "the program qemu-system-x86_64 is not installed"
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg
root=$scratch/root
mkdir -p "$root"/{bin,dev,proc} "$scratch/bin"
cp "$busybox" "$root/bin/busybox"
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin PS1='guest# '
mount -t devtmpfs dev /dev
echo "READY"
while :; do setsid -c sh -i </dev/ttyS0 >/dev/ttyS0 2>&1; done
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$scratch/initrd"
cat >"$scratch/bin/qemu-system-x86_64" <<END
#!/bin/bash
exec $qemu "\${@/,bootindex=0/}" -kernel $kernel -initrd $scratch/initrd -append "console=ttyS0 quiet"
END
chmod +x "$scratch/bin/qemu-system-x86_64"
reachable "$scratch/bin"
export PATH=$scratch/bin:$PATH
log() { "$kiln" instance console "$id"; }
# attached FILE: types what comes on standard input into a terminal of its own; what is seen there goes to FILE.
attached() { script -qefc "$kiln instance console $id --attach" "$1" >/dev/null; }
shows() { # FILE TEXT, within 60 s
    for _ in $(seq 600); do
        grep -aqF -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
    done
    fail "no '$2' in $(cat -v "$1")"
}

"$build/tests/publish_tiny" tiny 1.0.0 >/dev/null
id=$("$kiln" run tiny --type t3.micro --network none --quiet)
instances+=("$id")
shows "$KILN_HOME/instances/$id/console.log" READY
expect 2 "$kiln" instance console "$id" --attach </dev/null
contains "no terminal"

say "what is typed arrives, and the answer is seen and logged"
mkfifo "$scratch/keys"
attached "$scratch/seen" <"$scratch/keys" &
terminal=$!
exec 5>"$scratch/keys"
shows "$scratch/seen" "Ctrl-] leaves it"
printf 'echo the-sum-is-$((40 + 2))\r' >&5
shows "$scratch/seen" "the-sum-is-42"
expect 10 script -qec "$kiln instance console $id --attach" /dev/null
contains "somebody else"
printf 'sleep 600\r' >&5
sleep 1
printf '\003echo still-$((1 + 1))\r' >&5 # Ctrl-C is the guest's
shows "$scratch/seen" "still-2"
printf '\035' >&5
exec 5>&-
wait $terminal || fail "it ended with $?: $(cat -v "$scratch/seen")"
expect 0 log
contains "the-sum-is-42"

say "again, and the guest's end is its end"
mkfifo "$scratch/more"
attached "$scratch/again" <"$scratch/more" &
terminal=$!
exec 5>"$scratch/more"
shows "$scratch/again" "Ctrl-] leaves it"
printf 'echo again-$((1 + 2))\r' >&5
shows "$scratch/again" "again-3"
"$kiln" instance stop "$id" --force >/dev/null
wait $terminal || fail "it ended with $?: $(cat -v "$scratch/again")"
exec 5>&-
expect 12 script -qec "$kiln instance console $id --attach" /dev/null
contains "it is not running"
