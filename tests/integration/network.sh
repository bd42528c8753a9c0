#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Networks and security groups by the command line: what is made, refused and left. QEMU is a stand-in without a guest;
# the VPC is a real one where this host can have it. A part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq qemu-img ssh-keygen
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg KILN_FAKE_QEMU=$scratch/qemu
export PATH=$build/tests/fake-qemu:$PATH
mkdir "$KILN_FAKE_QEMU"
reachable "$KILN_FAKE_QEMU"
"$build/tests/publish_tiny" web 1.0.0 >/dev/null
run() { "$kiln" run web --type t3.micro --quiet "$@"; }
field() { "$kiln" instance show "$1" --json | jq -r "$2"; }
open_port() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

say "networks"
expect 0 "$kiln" network list
contains "no network yet"
expect 0 "$kiln" network create lab --cidr-block 10.1.0.0/24 --json
lab=$(jq -r .vpc_id <<<"$output")
expect 0 "$kiln" network show "$(jq -r .subnet_id <<<"$output")"
contains "this host    10.1.0.3"
expect 10 "$kiln" network create lab
expect 2 "$kiln" network create net --cidr-block 8.8.8.0/24
expect 9 "$kiln" network show nowhere
expect 9 run --network vpc:nowhere
expect 2 run --network bridge

say "security groups"
expect 0 "$kiln" security-group create web --description "web servers" --json
group=$(jq -r .group_id <<<"$output")
expect 10 "$kiln" security-group create web
expect 2 "$kiln" security-group create "a b"
expect 2 "$kiln" security-group authorize web --protocol tcp
expect 2 "$kiln" security-group authorize web --protocol tcp --port 80-x --cidr 0.0.0.0/0
expect 2 "$kiln" security-group authorize web --protocol tcp --cidr 0.0.0.0/0 --source-group web
expect 2 "$kiln" security-group authorize web --protocol icmp --port 8 --cidr 0.0.0.0/0
expect 0 "$kiln" security-group authorize web --protocol udp --port 53 --source-group web
contains "udp 53 from $group (web)"
expect 10 "$kiln" security-group authorize web --protocol udp --port 53 --source-group web
contains InvalidPermission.Duplicate
expect 0 "$kiln" security-group revoke web --protocol udp --port 53 --source-group web
expect 9 "$kiln" security-group revoke web --protocol udp --port 53 --source-group web
expect 0 "$kiln" security-group list --json
equals "$(jq -r '.[].group_name' <<<"$output")" web

say "what is forwarded in mode user heeds the groups"
plain=$(run)
one=$(run --security-group web)
instances+=("$plain" "$one")
open_port "$(field "$plain" .ssh_port)" || fail "ssh of an instance without groups is closed"
equals "$(field "$one" .ssh_port)" 0
expect 15 "$kiln" instance port add "$one" 80
contains "no security group of $one lets tcp port 80 in from this host, which is 10.0.2.2 there"
expect 15 "$kiln" instance ssh "$one"
expect 0 "$kiln" security-group authorize web --protocol tcp --port 22 --cidr 10.0.2.2/32
ssh_port=$(field "$one" .ssh_port)
open_port "$ssh_port" || fail "ssh is closed"
expect 15 "$kiln" instance port add "$one" 80
"$kiln" security-group authorize web --protocol tcp --port 80-90 --cidr 0.0.0.0/0 >/dev/null
port=$("$kiln" instance port add "$one" 80 --json | jq -r .host_port)
open_port "$port" || fail "port 80 is closed"
"$kiln" security-group revoke web --protocol tcp --port 80-90 --cidr 0.0.0.0/0 >/dev/null
open_port "$port" && fail "port 80 is still open"
open_port "$ssh_port" || fail "ssh is closed"
"$kiln" security-group authorize web --protocol all --cidr 10.0.0.0/16 >/dev/null
open_port "$port" || fail "port 80 did not come back"
expect 10 "$kiln" security-group delete web
contains "DependencyViolation: the instance $one uses"

say "none"
alone=$(run --network none)
instances+=("$alone")
tr '\0' '\n' <"/proc/$(cat /tmp/kiln-"$(id -u)"-*/"$alone"/qemu.pid)/cmdline" | grep netdev >/dev/null && fail "it has a network card"
pgrep -f "serve-network $alone" && fail "it has a network helper"
expect 10 "$kiln" instance port add "$alone" 80
expect 10 "$kiln" instance ssh "$alone"
expect 2 run --network none --security-group web
"$kiln" instance stop "$alone" >/dev/null
"$kiln" instance start "$alone" >/dev/null
"$kiln" instance terminate "$alone" "$plain" "$one" >/dev/null
expect 0 "$kiln" security-group delete web

say "vpc"
if ! unshare --user --map-current-user --keep-caps -- "$build/kiln-supervisor" serve-vpc --try 2>"$scratch/why"; then
    run --network vpc 2>/dev/null && fail "it was launched all the same"
    skip "no VPC here: $(cat "$scratch/why")"
fi
expect 0 run --network vpc:lab --count 3
mapfile -t three <<<"$output"
instances+=("${three[@]}")
equals "$("$kiln" network show lab --json | jq -r '[.instances[].private_ip_address] | sort | join(" ")')" \
    "10.1.0.4 10.1.0.5 10.1.0.6"
equals "$(field "${three[0]}" '"\(.network) \(.vpc_id) \(.security_groups | length)"')" "vpc $lab 1"
equals "$(pgrep -fc "serve-vpc $lab")" 1
expect 10 "$kiln" network delete lab
"$kiln" instance terminate "${three[1]}" >/dev/null
two=$(run --network vpc:lab)
instances+=("$two")
address=$(field "${three[1]}" .private_ip_address)
equals "$(field "$two" .private_ip_address)" "$address" # it was free again
kill -KILL "$(pgrep -f "serve-vpc $lab")"
for _ in $(seq 100); do
    pgrep -f "serve-vpc $lab" >/dev/null && break
    sleep 0.1
done
"$kiln" instance stop "$two" >/dev/null
"$kiln" instance start "$two" >/dev/null # which waits until it is connected
equals "$(field "$two" .private_ip_address)" "$address"
equals "$(pgrep -fc "serve-vpc $lab")" 1
mv "$KILN_HOME/networks/$lab.json" "$scratch/"
"$kiln" instance stop "$two" >/dev/null
expect 12 "$kiln" instance start "$two"
equals "$(field "$two" .state)" stopped
mv "$scratch/$lab.json" "$KILN_HOME/networks/"
"$kiln" instance terminate "${three[0]}" "${three[2]}" "$two" >/dev/null
nothing_runs "serve-vpc $lab"
nothing_runs "dnsmasq.*$lab"
expect 0 "$kiln" network delete lab

say "nothing is left"
equals "$("$kiln" instance list --json)" "[]"
equals "$(ls "$KILN_HOME/networks")" ""
nothing_left_in_work
