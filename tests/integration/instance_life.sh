#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An instance's life by the command line: stop, start, reboot, terminate, what a guest's own shutdown does, protection,
# killed processes, several commands at once, counts, client tokens, tags and filters. QEMU is a stand-in without a
# guest (tests/support/fake_qemu.cpp); everything else is real. A part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq qemu-img ssh-keygen
export KILN_HOME=$scratch/home KILN_ACCELERATOR=tcg KILN_FAKE_QEMU=$scratch/qemu
export PATH=$build/tests/fake-qemu:$PATH
mkdir "$KILN_FAKE_QEMU"
reachable "$KILN_FAKE_QEMU"
ami=$("$build/tests/publish_tiny" web 1.0.0)

run() { "$kiln" run web --type t3.micro --quiet "$@"; }
field() { "$kiln" instance show "$1" --json | jq -r "$2"; }
state() { field "$1" .state; }
qemu_of() { pgrep -f -- "qemu-system-x86_64.*guest=$1," | head -n 1; }
supervisor_of() { pgrep -f -- "supervise $1\$" | head -n 1; }
ended() { # waits until no process of the instance is left
    nothing_runs "guest=$1,"
    nothing_runs "supervise $1\$"
}
events() {
    { cat "$KILN_HOME"/{instances,ended}/"$1"/events.jsonl 2>/dev/null || true; } | jq -r .event | tr "\n" " "
}

say "stop and start"
one=$(run)
instances+=("$one")
equals "$(state "$one")" running
confined "$one"
key=$(field "$one" .ssh_key)
expect 0 "$kiln" instance stop "$one"
contains "stopped  (was running)"
equals "$(field "$one" '"\(.state) \(.state_reason_code)"')" "stopped Client.UserInitiatedShutdown"
ended "$one"
expect 0 "$kiln" instance stop "$one" # again: nothing to do
expect 10 "$kiln" instance reboot "$one"
contains "only a running instance reboots"
expect 125 "$kiln" instance exec "$one" -- true
expect 0 "$kiln" instance start "$one"
contains "running  (was stopped)"
expect 0 "$kiln" instance start "$one"
equals "$(field "$one" .ssh_key)" "$key"
equals "$(field "$one" .state_reason)" null
equals "$(events "$one")" "pending running stopping stopped pending running "

say "a guest that does not shut down is ended"
touch "$KILN_FAKE_QEMU/ignore-powerdown"
expect 0 "$kiln" instance stop "$one" --patience 1
contains "stopped"
equals "$(field "$one" .state_reason)" "stopped by its user; the guest did not shut down by itself"
"$kiln" instance start "$one" >/dev/null
expect 0 "$kiln" instance stop "$one" --no-wait
contains "stopping"
expect 10 "$kiln" instance start "$one"
contains "is stopping"
expect 12 "$kiln" instance wait "$one" --for stopped --timeout 1
kill -KILL "$(supervisor_of "$one")" # who was to see it through
expect 0 "$kiln" instance stop "$one" --force
equals "$(state "$one")" stopped

say "what is on its way and has lost its supervisor gets another from who waits for it"
"$kiln" instance start "$one" >/dev/null
expect 0 "$kiln" instance stop "$one" --no-wait
kill -KILL "$(supervisor_of "$one")"
rm "$KILN_FAKE_QEMU/ignore-powerdown"
expect 0 "$kiln" instance wait "$one" --for stopped --timeout 60
"$kiln" instance start "$one" >/dev/null
kill -KILL "$(supervisor_of "$one")"
record=$KILN_HOME/instances/$one/instance.json # as if it had been killed before the last word
jq '.state = "pending"' "$record" >"$scratch/pending"
cp "$scratch/pending" "$record"
expect 0 "$kiln" instance start "$one"
contains "running  (was pending)"
equals "$(events "$one" | tr ' ' '\n' | grep -v adopted | tail -n 2 | tr '\n' ' ')" "pending running "

say "reboot"
"$kiln" instance start "$one" >/dev/null
expect 0 "$kiln" instance reboot "$one"
contains "reboots"
touch "$KILN_FAKE_QEMU/ignore-reboot"
expect 0 "$kiln" instance reboot "$one" --patience 1
contains "was reset"
expect 0 "$kiln" instance reboot "$one" --force --json
equals "$(jq -r '.[0].by_itself' <<<"$output")" false
rm "$KILN_FAKE_QEMU/ignore-reboot"
equals "$(state "$one")" running

say "a guest that powers itself off is stopped, or terminated"
kill -USR1 "$(qemu_of "$one")"
expect 0 "$kiln" instance wait "$one" --for stopped --timeout 20
equals "$(field "$one" '"\(.state_reason), \(.state_reason_code)"')" "the guest shut down, Client.InstanceInitiatedShutdown"
two=$(run --shutdown-behavior terminate --tag team=web)
instances+=("$two")
kill -USR1 "$(qemu_of "$two")"
expect 0 "$kiln" instance wait "$two" --for terminated --timeout 20
ended "$two" # its supervisor, which takes the locks away at the very end
[ ! -e "$KILN_HOME/instances/$two" ] || fail "$two is still there"
equals "$(ls "$KILN_HOME/ended/$two" | tr '\n' ' ')" "events.jsonl instance.json "
equals "$(events "$two")" "pending running stopped terminated "

say "modify and termination protection"
"$kiln" instance start "$one" >/dev/null
expect 10 "$kiln" instance modify "$one" --type t3.small
contains "can't change while it is running"
expect 0 "$kiln" instance modify "$one" --disable-api-termination --shutdown-behavior terminate
contains "termination protection: on"
expect 10 "$kiln" instance terminate "$one"
contains "--no-disable-api-termination"
equals "$(state "$one")" running
"$kiln" instance stop "$one" >/dev/null # by its user: the behaviour is for the guest's own
equals "$(state "$one")" stopped
expect 0 "$kiln" instance modify "$one" --type t3.small --no-disable-api-termination --json
equals "$(jq -r '"\(.type) \(.memory)"' <<<"$output")" "t3.small 2147483648"
expect 2 "$kiln" instance modify "$one"
expect 9 "$kiln" instance modify "$one" --type t3.mikro

say "attack 30: killed processes, a rebooted host"
"$kiln" instance start "$one" >/dev/null
equals "$(tr '\0' '\n' </proc/"$(qemu_of "$one")"/cmdline | grep -A1 -x -- -m | tail -n 1)" 2048M
kill -KILL "$(qemu_of "$one")"
expect 0 "$kiln" instance wait "$one" --for stopped --timeout 20
equals "$(field "$one" .state_reason)" "its QEMU was killed, or it crashed"
"$kiln" instance start "$one" >/dev/null
kill -KILL "$(supervisor_of "$one")"
kill -KILL "$(qemu_of "$one")"
nothing_runs "guest=$one,"
equals "$(field "$one" '"\(.state): \(.state_reason)"')" "stopped: its QEMU is gone: it was killed, or it crashed"
jq '.host_boot_id = "another boot"' "$KILN_HOME/instances/$one/instance.json" >"$scratch/record"
cp "$scratch/record" "$KILN_HOME/instances/$one/instance.json"
equals "$(field "$one" .state_reason)" "the host was rebooted while it ran"
rm -rf /tmp/kiln-"$(id -u)"-*/"$one" # and /tmp is empty then
equals "$(jq -r .event "$KILN_HOME/instances/$one/events.jsonl" | tail -n 1)" running
expect 0 "$kiln" instance start "$one"
equals "$(jq -r 'select(.event == "stopped") | .detail.reason' "$KILN_HOME/instances/$one/events.jsonl" | tail -n 1)" \
    "the host was rebooted while it ran"

say "a start verifies the AMI as a launch does"
"$kiln" instance stop "$one" >/dev/null
"$kiln" image disable web >/dev/null
expect 15 "$kiln" instance start "$one"
contains "disabled"
equals "$(state "$one")" stopped
"$kiln" image enable web >/dev/null
touch "$KILN_FAKE_QEMU/starts-left" && echo 0 >"$KILN_FAKE_QEMU/starts-left"
expect 12 "$kiln" instance start "$one"
contains "QEMU ended at once: the fake QEMU was told not to start"
rm "$KILN_FAKE_QEMU/starts-left"
equals "$(state "$one")" stopped

say "many commands on one instance at once"
pids=()
for command in start stop start stop "stop --force" start; do
    # shellcheck disable=SC2086
    "$kiln" instance $command "$one" >/dev/null 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || true; done # some are refused while it is stopping
expect 0 "$kiln" instance stop "$one"
equals "$(state "$one")" stopped
"$kiln" instance terminate "$one" >/dev/null &
"$kiln" instance terminate "$one" >/dev/null || true
wait $!
equals "$(state "$one")" terminated
expect 0 "$kiln" instance terminate "$one"
expect 10 "$kiln" instance start "$one"

say "counts: all come up, or none"
expect 0 run --count 3
equals "$(wc -l <<<"$output")" 3
mapfile -t three <<<"$output"
instances+=("${three[@]}")
echo 2 >"$KILN_FAKE_QEMU/starts-left"
expect 12 run --count 5
contains "of 5 did not start, and none is left: QEMU ended at once"
rm "$KILN_FAKE_QEMU/starts-left"
equals "$("$kiln" instance list --quiet | sort)" "$(printf '%s\n' "${three[@]}" | sort)"
expect 2 run --count 2 --name twin
expect 2 run --count 0
expect 0 "$kiln" instance stop "${three[@]}" --json
equals "$(jq -r '[.[].state] | unique | .[]' <<<"$output")" stopped
"$kiln" instance start "${three[0]}" >/dev/null
expect 10 "$kiln" instance reboot "${three[@]}"
contains "${three[0]}  reboots"
contains "${three[2]}: ${three[2]} is stopped"
"$kiln" instance terminate "${three[@]}" >/dev/null

say "client tokens"
expect 0 run --count 2 --client-token job-1 --tag a=1
first=$output
expect 0 run --count 2 --client-token job-1 --tag a=1
equals "$output" "$first"
expect 10 run --count 3 --client-token job-1 --tag a=1
contains "IdempotentParameterMismatch"
expect 2 run --client-token "not one"
run --client-token job-2 >"$scratch/left" &
run --client-token job-2 >"$scratch/right"
wait $!
cmp "$scratch/left" "$scratch/right" || fail "two instances for one token"
# shellcheck disable=SC2086
"$kiln" instance terminate $first >/dev/null
equals "$(run --count 2 --client-token job-1 --tag a=1)" "$first" # also of terminated ones
"$kiln" instance terminate "$(cat "$scratch/left")" >/dev/null

say "tags and filters"
a=$(run --tag team=web --tag stage=)
b=$(run --name db --tag team=db)
instances+=("$a" "$b")
list() { "$kiln" instance list --quiet "$@"; }
equals "$(list --filter tag:team=web,mail)" "$a"
equals "$(list --filter 'tag:team=*' | sort)" "$(printf '%s\n%s' "$a" "$b" | sort)"
equals "$(list --filter tag-key=stage)" "$a"
equals "$(list --filter name=db --filter state=running)" "$b"
equals "$(list --filter state=stopped)" ""
equals "$(list --filter image=web@1.0.0 --filter 'type=t3.*' | wc -l)" 2
list --filter "image-id=$ami" --filter instance-state-name=terminated | grep -x "$one" >/dev/null || fail "$one is not listed"
expect 2 "$kiln" instance list --filter colour=red
expect 2 "$kiln" instance list --filter state=flying
expect 0 "$kiln" instance tag db team=data 'owner=A B'
contains "owner=A B"
expect 0 "$kiln" instance untag db team none
equals "$(field db '.tags | keys | join(" ")')" owner
expect 2 "$kiln" instance tag db aws:x=1
expect 2 "$kiln" instance tag db team
expect 2 run --tag a=1 --tag a=2

say "attack 37: the console drives no terminal"
printf 'login\r\n\033]0;owned\007 \000::error::x\nno end' >"$KILN_HOME/instances/$a/console.log"
equals "$("$kiln" instance console "$a")" "$(printf 'login\n\\x1b]0;owned\\x07 \\x00::error::x\nno end')"
equals "$("$kiln" instance console "$a" --lines 1)" "no end"
equals "$("$kiln" instance console "$a" --json | jq -r '.output | contains("\u001b")')" false
"$kiln" instance console "$a" --raw | cmp - "$KILN_HOME/instances/$a/console.log" || fail "not the bytes"
"$kiln" instance console "$a" --follow >"$scratch/followed" &
follower=$!
printf ' yet\nmore\n' >>"$KILN_HOME/instances/$a/console.log"
"$kiln" instance stop "$a" >/dev/null
wait $follower
equals "$(tail -n 1 "$scratch/followed")" more
"$kiln" instance start "$a" >/dev/null

say "ports survive a stop"
expect 0 "$kiln" instance port add "$a" 80 --json
port=$(jq -r .host_port <<<"$output")
(exec 3<>"/dev/tcp/127.0.0.1/$port") || fail "nobody listens on $port"
expect 10 "$kiln" instance port add "$a" 81 --host-port "$port"
"$kiln" instance stop "$a" >/dev/null
(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && fail "$port is still open"
expect 12 "$kiln" instance port add "$a" 81
contains "kiln instance start"
"$kiln" instance start "$a" >/dev/null
(exec 3<>"/dev/tcp/127.0.0.1/$port") || fail "nobody listens on $port"
equals "$("$kiln" instance port list "$a" --json | jq -c '[.[].guest_port]')" "[22,80]"
expect 0 "$kiln" instance port remove "$a" "$port"
expect 9 "$kiln" instance port remove "$a" "$port"
(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && fail "$port is still open"
expect 2 "$kiln" instance port add "$a" 70000

say "ssh is run with the launch's key; a picture is PNG"
mkdir "$scratch/bin"
printf '#!/bin/sh\nprintf "%%s\\n" "$@"\nexit 7\n' >"$scratch/bin/ssh"
chmod +x "$scratch/bin/ssh"
expect 7 env PATH="$scratch/bin:$PATH" "$kiln" instance ssh "$a" -l admin -- uptime -p
contains "$(field "$a" .ssh_key)"
equals "$(tail -n 4 <<<"$output" | tr '\n' ' ')" "-- admin@127.0.0.1 uptime -p "
expect 2 "$kiln" instance ssh "$a" -l '-oProxyCommand=x'
expect 0 "$kiln" instance screenshot "$a" "$scratch/screen.png"
equals "$(head -c 4 "$scratch/screen.png" | tail -c 3)" PNG
expect 10 "$kiln" instance screenshot "$a" "$scratch/screen.png"
expect 2 "$kiln" instance copy "$a:etc/passwd" "$scratch/x"
expect 2 "$kiln" instance copy "$scratch/x" "$scratch/y"
expect 9 "$kiln" instance copy "$scratch/none" "$a:/etc/"

say "usage"
expect 0 "$kiln" usage --json
equals "$(jq -r '.rows[] | select(.key == "'"$two"'") | "\(.starts) \(.billed_seconds) \(.cost)"' <<<"$output")" "1 60 0.000173"
equals "$(jq '[.rows[].starts] | add' <<<"$output")" "$(jq .total.starts <<<"$output")"
equals "$("$kiln" usage --by tag:team --json | jq -r '[.rows[].key] | join(" ")')" "(none) web"
expect 0 "$kiln" usage --by type --csv
contains "type,name,starts,billed_seconds,cost,currency,volume_gib_hours"
expect 0 "$kiln" usage --by day --from 2000-01-01 --to 2000-01-02
contains "Nothing has run"
expect 2 "$kiln" usage --by weather
expect 2 "$kiln" usage --from tomorrow
expect 2 "$kiln" usage --csv --json

say "quotas and types of one's own"
echo '{"schema": 2, "types": [{"name": "my.tiny", "vcpus": 1, "memory": "1 GiB"}]}' >"$KILN_HOME/instance-types.json"
echo '{"instances": 3, "vcpus": 5}' >"$KILN_HOME/quotas.json"
c=$("$kiln" run web --type my.tiny --quiet)
instances+=("$c")
expect 10 "$kiln" run web --type my.tiny
contains "InstanceLimitExceeded: 1 more would be above the quota of 3 instances: 3 in use"
"$kiln" instance stop "$c" >/dev/null
expect 10 "$kiln" run web --type t3.micro
contains "quota of 5 vcpus"
echo '{"cpus": 3}' >"$KILN_HOME/quotas.json"
expect 14 "$kiln" instance start "$c"
rm "$KILN_HOME/quotas.json"
"$kiln" instance terminate "$c" >/dev/null

say "nothing is left"
"$kiln" instance terminate "$a" db >/dev/null
equals "$("$kiln" instance list --json)" "[]"
equals "$(ls -A "$KILN_HOME/instances")" ""
nothing_left_in_work
