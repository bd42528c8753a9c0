#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian AMI that the other integration tests share, and looks at it from all sides.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img supermin openssl jq
rm -rf "$KILN_HOME"

say "doctor"
expect 0 "$kiln" doctor
contains "This host can build and launch."

say "build"
"$kiln" build "$source_dir/recipes/library/debian-12.toml" --json >"$scratch/build.json"
id=$(jq -r .image_id "$scratch/build.json")
[[ $id =~ ^ami-[0-9a-f]{17}$ ]] || fail "no AMI id: $id"
equals "$(jq -r '"\(.name) \(.version) \(.region) \(.reused)"' "$scratch/build.json")" "debian-12 1.0.0 local false"
nothing_left_in_work

say "the same recipe again is no work"
equals "$("$kiln" build "$source_dir/recipes/library/debian-12.toml" --json | jq -r '"\(.image_id) \(.reused)"')" "$id true"

say "another recipe of the same name and version is refused"
sed 's/^description = .*/description = "another"/' "$source_dir/recipes/library/debian-12.toml" >"$scratch/other.toml"
expect 10 "$kiln" build "$scratch/other.toml"
contains "raise the version"

say "list, show, verify"
expect 0 "$kiln" image list
contains "$id"
longest=$(awk '{ if (length > n) n = length } END { print n }' <<<"$output")
[ "$longest" -le 80 ] || fail "the list is $longest columns wide"
"$kiln" image show debian-12 --json >"$scratch/show.json"
for package in openssh-server qemu-guest-agent linux-image-cloud-amd64; do
    jq -e --arg p $package '.ami.software[] | select(.name == $p and .version != "")' "$scratch/show.json" >/dev/null ||
        fail "$package is not among the image's packages"
done
equals "$(jq -r .ami.os.distribution "$scratch/show.json")" debian
expect 0 "$kiln" image verify debian-12@1.0.x
contains "is verified"

say "openssl accepts the same signature over the PAE bytes"
blobs=$KILN_HOME/regions/local/blobs/sha256
envelope=
for blob in "$blobs"/*; do
    # Small blobs only: the layers are binary.
    [ "$(stat -c %s "$blob")" -lt 100000 ] && jq -e .payloadType "$blob" >/dev/null 2>&1 && envelope=$blob
done
[ -n "$envelope" ] || fail "no DSSE envelope among the blobs"
jq -r .payload "$envelope" | base64 -d >"$scratch/payload"
jq -r '.signatures[0].sig' "$envelope" | base64 -d >"$scratch/signature"
type=$(jq -r .payloadType "$envelope")
{ printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(stat -c %s "$scratch/payload")" && cat "$scratch/payload"; } >"$scratch/pae"
"$kiln" key show --json | jq -r .public_key >"$scratch/public.pem"
expect 0 openssl pkeyutl -verify -rawin -pubin -inkey "$scratch/public.pem" -sigfile "$scratch/signature" -in "$scratch/pae"
contains "Verified Successfully"
equals "$(stat -c %a "$KILN_HOME/account/key.pem")" 600
