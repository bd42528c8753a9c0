#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A web server under load is snapshotted: no request fails, the new AMI serves the page that was changed while it ran, and
# `image diff` names that file.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq curl

"$kiln" image show web-nginx >/dev/null 2>&1 || expect 0 "$kiln" build "$source_dir/recipes/library/web-nginx.toml"
guest=$("$kiln" run web-nginx --wait --quiet)
instances+=("$guest")
port_of() { "$kiln" instance port add "$1" 80 --json | jq -r .host_port; }
url=http://127.0.0.1:$(port_of "$guest")
page=/var/www/html/index.html
expect 0 curl -sf "$url"
contains "Built by Kiln"
"$kiln" instance exec "$guest" -- sh -c "echo 'changed while it ran' >$page"
equals "$(curl -sf "$url")" "changed while it ran"

say "a load, and a snapshot meanwhile"
(
    while [ ! -e "$scratch/enough" ]; do
        if curl -sf -m 30 -o /dev/null "$url"; then echo ok; else echo failed; fi
    done >"$scratch/requests"
) &
load=$!
sleep 2
"$kiln" instance snapshot "$guest" --name web-kept --version 1.0.0 --json >"$scratch/snapshot.json"
sleep 2
touch "$scratch/enough"
wait "$load"
equals "$(grep -c failed "$scratch/requests" || true)" 0
[ "$(grep -c ok "$scratch/requests")" -ge 20 ] || fail "only $(grep -c ok "$scratch/requests") requests"
echo "$(grep -c ok "$scratch/requests") requests, none failed; frozen for $(jq .frozen_ms "$scratch/snapshot.json") ms"

say "the new AMI serves the page, and the diff names it"
second=$("$kiln" run web-kept --wait --quiet)
instances+=("$second")
equals "$(curl -sf --retry 10 --retry-all-errors "http://127.0.0.1:$(port_of "$second")")" "changed while it ran"
expect 0 "$kiln" image diff web-nginx web-kept
contains "file     ~ $page"
