#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of a Debian guest: hooks around the freeze, identity, drift, `image diff`, a recipe drafted from the drift, a
# guest that nobody thaws (attack 31), and one that is shut down for it.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq strace

guest=$("$kiln" run debian-12 --type t3.small --wait --quiet)
instances+=("$guest")
in_guest() { "$kiln" instance exec "$guest" -- "$@"; }
base_layers=$("$kiln" image show debian-12 --json | jq '.ami.block_device_mappings[0].layers | length')

say "hooks, consistency and drift"
in_guest mkdir -p /etc/kiln/snapshot.d
"$kiln" instance exec -i "$guest" -- sh -c 'cat >/etc/kiln/snapshot.d/note && chmod +x /etc/kiln/snapshot.d/note' \
    <<<'#!/bin/sh
echo "$1" >>/var/lib/hooks'
in_guest sh -c 'echo changed >>/etc/motd; useradd -m -u 1234 dev; systemctl disable -q cron 2>/dev/null; rm -f /etc/issue.net
mkdir /srv/site && echo hello >/srv/site/index.html && chown -R dev /srv/site && ln -s index.html /srv/site/home'
"$kiln" instance snapshot "$guest" --name debian-12-drift --version 1.0.0 --json >"$scratch/snapshot.json"
equals "$(jq -r '"\(.consistency) \(.consistency_reason)"' "$scratch/snapshot.json")" "filesystem null"
equals "$(in_guest cat /var/lib/hooks)" "$(printf 'freeze\nthaw')"
for path in /srv/site/index.html /srv/site/home /srv/site /etc/kiln/snapshot.d/note /var/lib/hooks; do
    jq -e --arg path "$path" '.drift.files_added | index($path)' "$scratch/snapshot.json" >/dev/null || fail "$path is no drift"
done
jq -e '.drift.files_changed | index("/etc/motd")' "$scratch/snapshot.json" >/dev/null || fail "/etc/motd is no drift"
equals "$(jq -c '[.drift.users_added, .drift.packages, .drift.files_removed]' "$scratch/snapshot.json")" '[["dev"],[],["/etc/issue.net"]]'
equals "$("$kiln" image show debian-12-drift --json | jq '.ami.block_device_mappings[0].layers | length')" $((base_layers + 1))
"$kiln" image diff debian-12 debian-12-drift --json >"$scratch/diff.json"
equals "$(jq -c '[.files[] | select(.state | not) | select(.package == null) | select(.change == "removed").path]' "$scratch/diff.json")" '["/etc/issue.net"]'
expect 0 "$kiln" image diff debian-12-drift debian-12-drift
contains "no difference"

say "a recipe from the drift explains it"
expect 0 "$kiln" recipe from-drift debian-12-drift --output "$scratch/draft"
sed -i 's/^name = .*/name = "debian-12-drafted"/' "$scratch/draft/recipe.toml"
expect 0 "$kiln" recipe check "$scratch/draft/recipe.toml"
expect 0 "$kiln" build "$scratch/draft/recipe.toml"
"$kiln" image diff debian-12-drift debian-12-drafted --json >"$scratch/rest.json"
equals "$(jq -c '[.files[] | select(.state | not) | .path] - ["/etc/shadow", "/etc/shadow-", "/etc/passwd", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid"]' "$scratch/rest.json")" '[]'
equals "$(jq -c '[.packages, .users_added, .users_removed]' "$scratch/rest.json")" '[[],[],[]]'

say "a hook that fails ends it, and the guest is as it was"
in_guest sh -c 'printf "#!/bin/sh\nexit 3\n" >/etc/kiln/snapshot.d/note'
expect 12 "$kiln" instance snapshot "$guest" --name debian-12-hook --version 1.0.0
contains "a hook in the guest failed"
in_guest rm /etc/kiln/snapshot.d/note

say "attack 31: nobody thaws the guest: the watchdog in it does"
# A writer in the guest notes how long it was held up at most. The supervisor is stopped as soon as it has asked for the
# freeze, before it could ask for the thaw.
in_guest sh -c 'cat >/run/writer <<"END"
most=0
while :; do
    read -r begin _ </proc/uptime
    echo x >/var/lib/probe
    read -r end _ </proc/uptime
    [ $((${end%.*} - ${begin%.*})) -le $most ] || { most=$((${end%.*} - ${begin%.*})); echo $most >/run/held; }
    sleep 0.1
done
END
setsid sh /run/writer >/dev/null 2>&1 </dev/null &'
supervisor=$(pgrep -f "supervise $guest\$")
strace -f -p "$supervisor" -e trace=sendto -e inject=sendto:delay_exit=300000 -s 200 -o "$scratch/trace" 2>/dev/null &
tracer=$!
"$kiln" instance snapshot "$guest" --exact --name debian-12-hung --version 1.0.0 >"$scratch/hung" 2>&1 &
snapshot=$!
for _ in $(seq 3000); do
    grep -q fsfreeze-freeze "$scratch/trace" 2>/dev/null && break
    sleep 0.02
done
kill -STOP "$supervisor"
grep -q fsfreeze-freeze "$scratch/trace" || fail "no freeze was asked for: $(cat "$scratch/hung")"
grep -q fsfreeze-thaw "$scratch/trace" && fail "the supervisor was stopped too late"
sleep 45
kill "$tracer"
wait "$tracer" 2>/dev/null || true
kill -CONT "$supervisor"
wait "$snapshot" || fail "the snapshot: $(cat "$scratch/hung")"
held=$(in_guest cat /run/held)
[ "$held" -ge 20 ] && [ "$held" -le 44 ] || fail "the guest was held up for $held s"
equals "$("$kiln" image show debian-12-hung --json | jq -r .ami.source.consistency)" crash
in_guest pkill -f /run/writer

say "shut down for it and started again: an AMI with an identity of its own"
expect 0 "$kiln" instance snapshot "$guest" --stop --name debian-12-stopped --version 1.0.0
equals "$("$kiln" image show debian-12-stopped --json | jq -r .ami.source.consistency)" filesystem
expect 0 "$kiln" instance terminate "$guest"
expect 0 "$kiln" image verify debian-12-stopped
nothing_left_in_work
