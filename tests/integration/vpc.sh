#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Guests in a VPC: DHCP, names, NAT, metadata, security groups that let some through and others not, also while they run;
# the network comes back when its holder is killed, and nothing is left of it. The guests are the host's kernel with
# busybox, started by a stand-in that adds those to QEMU's arguments; all else is real.
. "$(dirname "$0")/lib.sh"
need jq busybox cpio modprobe nft ip dnsmasq
busybox=$(command -v busybox)
file -L "$busybox" 2>/dev/null | grep -q "dynamically" && skip "busybox is not a static one (apt-get install busybox-static)"
kernel=$(find /boot -name 'vmlinuz-*-cloud-amd64' -readable | sort -V | tail -n 1)
[ -n "$kernel" ] || skip "there is no cloud kernel in /boot that this user can read"
qemu=$(command -v qemu-system-x86_64) || skip "the program qemu-system-x86_64 is not installed"
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg
unshare --user --map-current-user --keep-caps -- "$build/kiln-supervisor" serve-vpc --try 2>"$scratch/why" || skip "$(cat "$scratch/why")"
"$build/tests/publish_tiny" tiny 1.0.0 >/dev/null

root=$scratch/root
mkdir -p "$root"/{bin,modules,dev,proc,sys,etc,www/cgi-bin}
cp "$busybox" "$root/bin/busybox"
while read -r _ module; do
    cp "$module" "$root/modules/"
    basename "$module" >>"$root/modules/order"
done < <(modprobe -S "${kernel#/boot/vmlinuz-}" --show-depends virtio_pci | grep ^insmod
    modprobe -S "${kernel#/boot/vmlinuz-}" --show-depends virtio_net | grep ^insmod)
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
ip link set lo up
ip link set eth0 up
cat >/bin/lease <<'LEASE'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev eth0
ip route add default via "$router"
echo "search $domain" >/etc/resolv.conf
for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
echo "LEASE $ip $router $dns $domain $hostname"
LEASE
chmod +x /bin/lease
udhcpc -i eth0 -s /bin/lease -q -t 20 -T 1 -n -O hostname
echo "hello from the guest" >/www/index.html
httpd -p 80 -h /www
address=$(ip -4 -o addr show eth0 | sed 's/.*inet \([0-9.]*\).*/\1/')
# busybox's static wget does not survive the resolver of glibc; nc with an address does.
resolve() { nslookup "$1.kiln.internal" 2>/dev/null | sed -n '/^Name/,$ s/^Address[^:]*: *\([0-9.]*\).*/\1/p' | head -n 1; }
fetch() { # ADDRESS PORT [PATH]
    printf 'GET %s HTTP/1.0\r\n\r\n' "${3:-/}" | timeout 4 nc -w 3 "$1" "$2" 2>/dev/null
}
host=$(sed 's/.*host=\([^ ]*\).*/\1/' /proc/cmdline)
n=0
while :; do
    n=$((n + 1))
    for peer in web app other; do
        address_of_peer=$(resolve $peer)
        if [ -n "$address_of_peer" ] && fetch "$address_of_peer" 80 | grep -q hello; then
            echo "ROUND $n REACH $peer"
        else
            echo "ROUND $n MISS $peer"
        fi
    done
    fetch "${host%:*}" "${host#*:}" | grep -q outside && echo "ROUND $n OUT"
    fetch 100.64.0.2 "${host#*:}" | grep -q outside && echo "ROUND $n HOST-LOOPBACK"
    echo "ROUND $n IMDS $(fetch 169.254.169.254 80 /latest/meta-data/local-ipv4 | tail -n 1)"
    if [ $n = 2 ]; then
        ip addr add 172.31.0.99/20 dev eth0
        ping -c 2 -W 1 -I "$address" 172.31.0.1 >/dev/null && echo "PING by its own address"
        ping -c 2 -W 1 -I 172.31.0.99 172.31.0.1 >/dev/null && echo "PING by another address"
        ip addr del 172.31.0.99/20 dev eth0
        echo "PING done"
    fi
    sleep 0.5
done
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$scratch/initrd"

# A web server on an address of this host that is not loopback: what is outside of the VPC.
host=$(ip -4 -o addr show scope global | sed -n 's/.*inet \([0-9.]*\).*/\1/p' | head -n 1)
[ -n "$host" ] || skip "this host has no address but loopback"
port=$((20000 + RANDOM % 10000))
mkdir "$scratch/www" "$scratch/bin"
echo outside >"$scratch/www/index.html"
"$busybox" httpd -f -p "0.0.0.0:$port" -h "$scratch/www" &
server=$!
end_of_test() {
    local status=$?
    kill $server 2>/dev/null || true
    set +e
    (exit $status) # for cleanup, which exits with it
    cleanup
}
trap end_of_test EXIT
# A kernel of -kernel is the first thing to boot, as the disk is already.
cat >"$scratch/bin/qemu-system-x86_64" <<END
#!/bin/bash
exec $qemu "\${@/,bootindex=0/}" -kernel $kernel -initrd $scratch/initrd -append "console=ttyS0 quiet host=$host:$port"
END
chmod +x "$scratch/bin/qemu-system-x86_64"
reachable "$scratch/bin"
export PATH=$scratch/bin:$PATH

console() { tr -d '\r' <"$KILN_HOME/instances/$1/console.log"; }
sees() { # ID PATTERN: a line of the console that came after now, within 90 s
    local from
    from=$(console "$1" | wc -l)
    for _ in $(seq 900); do
        console "$1" | tail -n +$((from + 1)) | grep -- "$2" >/dev/null && return 0
        sleep 0.1
    done
    fail "$1 does not see '$2': $(console "$1" | tail -n 12)"
}
# after_a_round ID: the one that begins after now has ended; $round is its number.
after_a_round() {
    sees "$1" "IMDS"
    sees "$1" "IMDS"
    round=$(console "$1" | sed -n 's/^ROUND \([0-9]*\) IMDS.*/\1/p' | tail -n 1)
}
misses() { # ID PEER
    after_a_round "$1"
    console "$1" | grep -x "ROUND $round MISS $2" >/dev/null || fail "$1 reaches $2: $(console "$1" | grep "ROUND $round ")"
}

say "three guests: web lets app in, and not other"
for group in web app other; do "$kiln" security-group create $group >/dev/null; done
"$kiln" security-group authorize web --protocol tcp --port 80 --source-group app >/dev/null
run() { "$kiln" run tiny --type t3.micro --network vpc --quiet --metadata-v1 --name "$1" --security-group "$1"; }
web=$(run web)
app=$(run app)
other=$(run other)
instances+=("$web" "$app" "$other")
vpc=$("$kiln" instance show web --json | jq -r .vpc_id)
equals "$("$kiln" network show default --json | jq -r '[.instances[].private_ip_address] | sort | join(" ")')" \
    "172.31.0.4 172.31.0.5 172.31.0.6"
for _ in $(seq 1200); do # a boot takes its time without KVM
    [ "$(cat "$KILN_HOME"/instances/*/console.log | grep -c '^ROUND 3 IMDS')" = 3 ] && break
    sleep 0.1
done
console "$web" | grep -x "LEASE 172.31.0.4 172.31.0.1 172.31.0.2 kiln.internal web" >/dev/null || fail "$(console "$web")"
sees "$app" "REACH web"
confined "$web"
misses "$other" web
misses "$web" app # which lets nobody in
misses "$app" other

say "metadata, NAT outward, and no other address than its own"
console "$other" | grep "^ROUND [0-9]* IMDS 172.31.0.6$" >/dev/null || fail "no metadata: $(console "$other" | tail)"
console "$other" | grep "^ROUND [0-9]* OUT$" >/dev/null || fail "no way outward: $(console "$other" | tail)"
for id in "$web" "$app" "$other"; do
    console "$id" | grep HOST-LOOPBACK >/dev/null && fail "$id reaches this host's loopback"
done
sees "$other" "IMDS" # round 2 is over
console "$other" | grep -x "PING by its own address" >/dev/null || fail "no ping: $(console "$other" | grep PING)"
console "$other" | grep -x "PING by another address" >/dev/null && fail "$other can use another's address"

say "rules change while they run"
"$kiln" security-group authorize web --protocol tcp --port 80 --cidr 172.31.0.6/32 >/dev/null
sees "$other" "REACH web"
"$kiln" security-group revoke web --protocol tcp --port 80 --cidr 172.31.0.6/32 >/dev/null
misses "$other" web
rule=$("$kiln" security-group show app --json | jq -r '.rules[] | select(.is_egress) | .security_group_rule_id')
"$kiln" security-group revoke app "$rule" >/dev/null
misses "$app" web
"$kiln" security-group authorize app --egress --protocol tcp --port 80 --destination-group web >/dev/null
sees "$app" "REACH web"
after_a_round "$app"
console "$app" | grep -x "ROUND $round OUT" >/dev/null && fail "$app gets outward without a rule"

say "what is forwarded from the host heeds them too"
expect 15 "$kiln" instance port add web 80
contains "kiln security-group authorize"
"$kiln" security-group authorize web --protocol tcp --port 80 --cidr 172.31.0.3/32 >/dev/null
forwarded=$("$kiln" instance port add web 80 --json | jq -r .host_port)
got=$(printf 'GET / HTTP/1.0\r\n\r\n' | "$busybox" nc -w 20 127.0.0.1 "$forwarded" | tail -n 1)
equals "$got" "hello from the guest"

say "a holder that was killed comes back, and the guests keep their addresses"
holder=$(pgrep -f "serve-vpc $vpc")
kill -KILL "$holder"
for _ in $(seq 100); do
    again=$(pgrep -f "serve-vpc $vpc" | head -n 1) || true
    [ -n "$again" ] && [ "$again" != "$holder" ] && break
    sleep 0.1
done
after_a_round "$app"
sees "$app" "REACH web"
misses "$other" web
sees "$other" "OUT"

say "nothing is left of it"
"$kiln" instance terminate web app other >/dev/null
nothing_runs "serve-vpc $vpc"
nothing_runs "dnsmasq.*$vpc"
[ -z "$(find /tmp -maxdepth 2 -path '/tmp/kiln-*' -name "$vpc" 2>/dev/null)" ] || fail "its run folder is left"
"$kiln" network delete default
