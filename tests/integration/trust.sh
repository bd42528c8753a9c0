#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nothing boots unverified: tampered, unsigned and untrusted images, with the real AMI.
. "$(dirname "$0")/lib.sh"
need jq
original=$KILN_HOME
layer=$("$kiln" image show debian-12 --json | jq -r '.ami.block_device_mappings[0].layers[0].digest')
layer=${layer#sha256:}

# A home with the same region; blobs are hard links until a test replaces one.
copy_home() {
    export KILN_HOME=$build/trust-home
    rm -rf "$KILN_HOME"
    mkdir -m 700 "$KILN_HOME"
    cp -al "$original/regions" "$KILN_HOME/regions"
    cp -a "$original/account" "$original/trust" "$KILN_HOME/"
    cp -a --remove-destination "$original"/regions/local/catalogue.sqlite "$KILN_HOME/regions/local/"
    cp -a --remove-destination "$original"/regions/local/index.json "$KILN_HOME/regions/local/"
}
refused() {
    expect 11 "$kiln" run debian-12
    contains "$1"
    expect 11 "$kiln" image verify debian-12
    equals "$("$kiln" instance list --json)" "[]"
}

say "a tampered layer: one bit"
copy_home
blob=$KILN_HOME/regions/local/blobs/sha256/$layer
cp --remove-destination "$original/regions/local/blobs/sha256/$layer" "$blob.new"
chmod u+w "$blob.new"
byte=$(od -An -tu1 -j 100000 -N 1 "$blob.new")
printf "$(printf '\\x%02x' $((byte ^ 1)))" | dd of="$blob.new" bs=1 seek=100000 conv=notrunc status=none
mv -f "$blob.new" "$blob"
refused "layer"

say "an unsigned image"
copy_home
jq '.manifests |= map(select(.artifactType != "application/vnd.kiln.signature.v1+json"))' \
    "$original/regions/local/index.json" >"$KILN_HOME/regions/local/index.json"
refused "sign"

say "a key that is not trusted"
copy_home
rm -rf "$KILN_HOME/trust"
mkdir -m 700 "$KILN_HOME/trust"
refused "trust"

say "and trusted again by its owner's public key"
"$kiln" key show --json | jq -r .public_key >"$scratch/public.pem"
expect 2 "$kiln" key trust 123 "$scratch/public.pem"
expect 0 "$kiln" key trust "$("$kiln" key show --json | jq -r .account)" "$scratch/public.pem"
expect 0 "$kiln" image verify debian-12
rm -rf "$KILN_HOME"
