#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of a Debian guest: hooks around the freeze, identity, drift, `image diff`, a recipe drafted from the drift, a
# guest agent that hangs while the guest is frozen (attack 31), and one that is shut down for it.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq

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

say "attack 31: an agent that hangs as soon as the guest is frozen: the watchdog in the guest thaws it"
# From when the watchdog is there, a writer that is held up for long tells that the guest is frozen; then the agent is
# stopped until after the thaw. What the writer wrote makes the freeze take long enough to be seen.
"$kiln" instance exec -i "$guest" -- sh -c 'cat >/etc/kiln/snapshot.d/hang && chmod +x /etc/kiln/snapshot.d/hang' <<<'#!/bin/sh
[ "$1" = freeze ] || exit 0
setsid sh -c '"'"'
agent=$(pidof qemu-ga)
cat >/run/writer <<END
much=\$(head -c 100000 /dev/zero | tr "\0" x)
while :; do
    : >/var/lib/probe
    for i in \$(seq 300); do echo "\$much\$much" >>/var/lib/probe; done
done
END
sh /run/writer & writer=$!
until grep -qs "kiln-[t]haw" /proc/[0-9]*/cmdline; do :; done
held=0
while [ $held -lt 30 ]; do
    read -r _ _ state _ </proc/$writer/stat
    [ "$state" = D ] && held=$((held + 1)) || held=0
done
kill -STOP $agent
kill $writer
read -r begin _ </proc/uptime
echo x >/var/lib/probe
read -r end _ </proc/uptime
echo $((${end%.*} - ${begin%.*})) >/var/lib/frozen-for
sleep 5
kill -CONT $agent'"'"' >/dev/null 2>&1 </dev/null &'
status=0
"$kiln" instance snapshot "$guest" --exact --name debian-12-hung --version 1.0.0 --json >"$scratch/hung" 2>&1 || status=$?
[ $status = 0 ] || [ $status = 12 ] || fail "status $status: $(cat "$scratch/hung")"
for _ in $(seq 60); do
    "$kiln" instance exec "$guest" -- cat /var/lib/frozen-for >"$scratch/frozen-for" 2>/dev/null && break
    sleep 1
done
[ "$(cat "$scratch/frozen-for")" -ge 10 ] || fail "the agent was not stopped while the guest was frozen: $(cat "$scratch/frozen-for")"
in_guest sh -c 'rm /etc/kiln/snapshot.d/hang && sync'

say "shut down for it and started again: an AMI with an identity of its own"
expect 0 "$kiln" instance snapshot "$guest" --stop --name debian-12-stopped --version 1.0.0
equals "$("$kiln" image show debian-12-stopped --json | jq -r .ami.source.consistency)" filesystem
expect 0 "$kiln" instance terminate "$guest"
expect 0 "$kiln" image verify debian-12-stopped
nothing_left_in_work
