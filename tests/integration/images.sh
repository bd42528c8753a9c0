#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Finding images by the command line (catalogues, filters, digests), organizations, the record of what was verified, and
# the quick start as far as no build is needed. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq
export KILN_HOME=$scratch/owner
publish() { "$build/tests/publish_tiny" "$@"; }
old=$(publish web 1.0.0)
new=$(publish web 1.1.0 public)
publish bank 1.0.0 >/dev/null
owner=$("$kiln" key show --json | jq -r .account)
blob() { echo "$KILN_HOME/regions/local/blobs/sha256/$("$kiln" image show "$1" --json | jq -r '.ami.block_device_mappings[0].layers[0].digest | ltrimstr("sha256:")')"; }

# A second account with a home of its own, in which the same region is.
guest_home=$scratch/guest
mkdir -p "$guest_home/regions"
ln -s "$KILN_HOME/regions/local" "$guest_home/regions/local"
as_guest() { KILN_HOME=$guest_home "$kiln" "$@"; }
as_guest key create >/dev/null
guest=$(as_guest key show --json | jq -r .account)
"$kiln" key show --json | jq -r .public_key >"$scratch/owner.pem"
as_guest key trust "$owner" "$scratch/owner.pem" >/dev/null

listed() { "$@" --json | jq -r '[.[] | .name + " " + .version] | sort | join(", ")'; }

say "filters"
equals "$(listed "$kiln" image list)" "bank 1.0.0, web 1.0.0, web 1.1.0"
equals "$(listed "$kiln" image list --filter 'name=w*')" "web 1.0.0, web 1.1.0"
equals "$(listed "$kiln" image list --filter name=web,bank --filter 'version=1.0.?')" "bank 1.0.0, web 1.0.0"
equals "$(listed "$kiln" image list --filter tag:team=web --filter is-public=true)" "web 1.1.0"
equals "$(listed "$kiln" image list --filter "owner-id=$owner" --filter architecture=aarch64)" ""
expect 2 "$kiln" image list --filter nane=web
contains "did you mean name?"
expect 2 "$kiln" image list --filter name
contains "is not NAME=VALUE"
expect 0 "$kiln" image list --filter name=nothing
contains "No image fits"

say "catalogues"
equals "$(listed "$kiln" image list --from my)" "bank 1.0.0, web 1.0.0, web 1.1.0"
equals "$(listed "$kiln" image list --from community)" ""
equals "$(listed as_guest image list --from community)" "web 1.1.0"
equals "$(listed as_guest image list --from my)" ""
equals "$(listed as_guest image list --from marketplace)" ""
expect 2 "$kiln" image list --from elsewhere
cat >"$guest_home/trust/policy.json" <<JSON
{"kiln_policy": 1, "rules": [], "publishers": [{"account": "$owner", "name": "Example Ltd", "verified": true,
  "products": [{"names": ["web*"], "title": "Example Web", "url": "https://example.com/web"}]}]}
JSON
equals "$(listed as_guest image list --from marketplace)" "web 1.1.0"
equals "$(as_guest image list --from marketplace --json | jq -r '.[0].publisher | .name + ", " + .product.title')" \
    "Example Ltd, Example Web"
expect 0 as_guest image list --from marketplace
contains "Example Ltd"
sed -i 's/"verified": true/"verified": false/' "$guest_home/trust/policy.json"
equals "$(listed as_guest image list --from marketplace)" ""
expect 0 as_guest image verify "$new"
sed -i 's/"verified"/"vetted"/' "$guest_home/trust/policy.json"
expect 11 as_guest image list --from marketplace
contains "publishers[0]"
rm "$guest_home/trust/policy.json"

say "organizations"
expect 0 "$kiln" image share "$old" --organization acme --json
equals "$(jq -c .launch_organizations <<<"$output")" '["acme"]'
expect 11 as_guest image verify "$old"
echo "{\"kiln_organizations\": 1, \"organizations\": [{\"name\": \"acme\", \"accounts\": [\"$guest\"]}]}" \
    >"$guest_home/trust/organizations.json"
expect 0 as_guest image verify "$old"
contains "shared with an organization of account $guest: acme"
equals "$(listed as_guest image list)" "web 1.0.0, web 1.1.0"
expect 0 "$kiln" image history "$old"
contains "acme"
expect 0 "$kiln" image unshare "$old" --organization acme
expect 15 as_guest run "$old"
expect 2 "$kiln" image share "$old" --organization "A B"

say "a digest names one image for good"
digest=$("$kiln" image show web@1.0.0 --json | jq -r .manifest)
equals "$("$kiln" image show "web@$digest" --json | jq -r .image_id)" "$old"
expect 9 "$kiln" image show "bank@$digest"
expect 2 "$kiln" image show web@sha256:1

say "what was verified is read again when it changes"
sleep 2.1
expect 0 "$kiln" image verify "$new"
equals "$(stat -c %a "$KILN_HOME/verified" "$KILN_HOME/verified/blobs.sqlite" | xargs)" "700 600"
expect 0 "$kiln" image verify "$new" --verify changed
if grep -q unchanged <<<"$output"; then
    expect 0 "$kiln" image verify "$new"
    if grep -q unchanged <<<"$output"; then fail "not read: $output"; fi
    file=$(blob "$new")
    touch -r "$file" "$scratch/time"
    chmod u+w "$file"
    printf x | dd of="$file" bs=1 seek=100000 conv=notrunc status=none
    touch -r "$scratch/time" "$file"
    expect 11 "$kiln" image verify "$new" --verify changed
    contains "its blob is damaged or was changed"
    expect 11 "$kiln" run "$new"
    contains "its blob is damaged or was changed"
else
    say "SKIP: change times of this file system are not relied on"
fi

say "quick start"
expect 0 "$kiln" image list --from quick-start
contains "debian-12"
contains "built on first use"
equals "$("$kiln" image list --from quick-start --json | jq -r '.[] | select(.name == "debian-12") | .image_id')" null
expect 2 "$kiln" image list --from quick-start --filter name=x
expect 9 "$kiln" run debian-12
contains "kiln run debian-12 --yes"
expect 9 "$kiln" run debian-99
contains "there is no image named debian-99"
id=$(publish debian-12 1.0.0)
equals "$("$kiln" image list --from quick-start --json | jq -r '.[] | select(.name == "debian-12") | .image_id')" "$id"
