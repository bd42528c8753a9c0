#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the holder of an AMI does with it after publishing, by the command line, with two accounts: share, deprecate,
# disable, channels, copy, deregister, and a catalogue that is put back. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq
export KILN_HOME=$scratch/owner
publish() { "$build/tests/publish_tiny" "$@"; }
field() { "$kiln" image show "$1" --json | jq -r "$2"; }
old=$(publish web 1.0.0)
new=$(publish web 1.1.0)
owner=$("$kiln" key show --json | jq -r .account)

# A second account with a home of its own, in which the same region is.
guest_home=$scratch/guest
mkdir -p "$guest_home/regions"
ln -s "$KILN_HOME/regions/local" "$guest_home/regions/local"
as_guest() { KILN_HOME=$guest_home "$kiln" "$@"; }
as_guest key create >/dev/null
guest=$(as_guest key show --json | jq -r .account)
"$kiln" key show --json | jq -r .public_key >"$scratch/owner.pem"
as_guest key trust "$owner" "$scratch/owner.pem" >/dev/null

say "a private image is the owner's"
expect 0 "$kiln" image verify web
expect 11 as_guest image verify web
contains "launch permission: account $guest may not launch it"
equals "$(as_guest image list --json)" "[]"
equals "$(as_guest image list --all --json | jq length)" 2
expect 15 as_guest image share web --public
contains "which account $owner holds"

say "share and unshare"
expect 0 "$kiln" image share "$old" --account "$guest" 111111111111
contains "launched by accounts $owner, "
expect 0 as_guest image verify "$old"
equals "$(as_guest image list --json | jq -r '.[].image_id')" "$old"
expect 0 "$kiln" image share "$old" --account "$guest"
contains "Nothing changed"
expect 0 "$kiln" image unshare "$old" --account "$guest" --json
equals "$(jq -c '[.changed, .launch_accounts]' <<<"$output")" '[true,["111111111111"]]'
expect 15 as_guest run "$old"
contains "may not launch it"
expect 2 "$kiln" image share "$old"
contains "nobody"
expect 2 "$kiln" image share "$old" --account 12
expect 0 "$kiln" image share "$old" --public
expect 0 as_guest image verify "$old"

say "deprecate"
expect 0 "$kiln" image deprecate "$old" --at 2099-01-31
contains "available (deprecated from 2099-01-31T00:00:00Z)"
expect 0 "$kiln" image deprecate "$old"
equals "$(field "$old" .state)" deprecated
equals "$(as_guest image list --json)" "[]"
equals "$(as_guest image list --state deprecated --json | jq length)" 1
equals "$("$kiln" image list --json | jq length)" 2
expect 0 as_guest image verify "$old"
expect 0 "$kiln" image deprecate "$old" --cancel
equals "$(field "$old" .deprecated_at)" null
expect 2 "$kiln" image deprecate "$old" --at tomorrow

say "disable and enable"
expect 0 "$kiln" image disable "$old"
expect 15 "$kiln" run "$old"
contains "it is disabled"
expect 0 "$kiln" image enable "$old"
expect 0 "$kiln" image verify "$old"

say "channels"
expect 9 "$kiln" image show web@stable
contains "web has no channel stable"
expect 0 "$kiln" image channel web@1.0.0 stable
equals "$(field web@stable .version)" 1.0.0
expect 0 "$kiln" image channel web stable
equals "$(field web@stable .version)" 1.1.0
equals "$(field "$new" '.channels[0]')" stable
expect 2 "$kiln" image channel web 1.0.0

say "history"
equals "$("$kiln" image history "$old" --json | jq -r '[.[].action] | join(" ")')" \
    "publish share unshare share deprecate deprecate deprecate disable enable channel"
expect 0 "$kiln" image history "$old"
contains "unshare"
[ "$(wc -L <<<"$output")" -le 80 ] || fail "wider than 80 columns: $output"

say "regions"
expect 9 "$kiln" image copy web --to eu-west
contains "kiln registry init eu-west"
expect 2 "$kiln" registry init ../x
expect 0 "$kiln" registry init eu-west
expect 10 "$kiln" registry init eu-west
expect 0 "$kiln" image copy web@stable --to eu-west
contains "a copy of $new in region local"
equals "$(KILN_REGION=eu-west "$kiln" image list --json | jq -r '.[].version')" 1.1.0
copy=$("$kiln" image show web --region eu-west --json | jq -r .image_id)
[ "$copy" != "$new" ] || fail "the copy has the same id"
expect 0 "$kiln" image verify "$copy" --region eu-west
equals "$("$kiln" image history "$copy" --region eu-west --json | jq -r '.[0].arguments.from.image')" "$new"
equals "$("$kiln" registry list --json | jq -c '[.[] | [.region, .images]]')" '[["eu-west",1],["local",2]]'

say "a catalogue that is put back"
cp "$KILN_HOME/regions/local/catalogue.sqlite" "$scratch/older"
expect 0 "$kiln" image unshare "$old" --public
cp "$KILN_HOME/regions/local/catalogue.sqlite" "$scratch/newest"
as_guest image verify "$old" >/dev/null || true # sees it
cp "$scratch/older" "$KILN_HOME/regions/local/catalogue.sqlite"
expect 11 as_guest run "$old"
contains "it was rolled back to an older state"
expect 11 "$kiln" image verify "$new"
expect 11 "$kiln" image enable "$new"
contains "kiln registry forget local"
cp "$scratch/newest" "$KILN_HOME/regions/local/catalogue.sqlite"
expect 15 as_guest run "$old"
expect 0 "$kiln" image verify "$new"
cp "$scratch/older" "$KILN_HOME/regions/local/catalogue.sqlite"
expect 0 "$kiln" registry forget local
expect 0 "$kiln" image verify "$new"

say "deregister"
expect 0 "$kiln" image deregister "$old"
expect 9 "$kiln" image show "$old"
contains "was deregistered"
equals "$("$kiln" image list --json | jq -r '.[].image_id')" "$new"
equals "$("$kiln" image list --state deregistered --json | jq -r '.[].image_id')" "$old"
expect 0 "$kiln" image history "$old"
contains "deregister"
if publish web 1.0.0 2>/dev/null; then fail "a deregistered version came back"; fi
