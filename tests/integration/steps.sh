#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of step, secrets and sealing in a real guest tree: the shared AMI's, under one appliance.
. "$(dirname "$0")/lib.sh"
need qemu-img qemu-storage-daemon supermin jq
"$kiln" image show debian-12@1.0.0 --json >"$scratch/image.json"
layers=
for hex in $(jq -r '.ami.block_device_mappings[0].layers[].digest | ltrimstr("sha256:")' "$scratch/image.json"); do
    layers+="${layers:+:}$KILN_HOME/regions/local/blobs/sha256/$hex"
done
KILN_TEST_LAYERS=$layers KILN_TEST_SIZE=$(jq -r '.ami.block_device_mappings[0].size' "$scratch/image.json") \
    "$build/tests/steps_integration_test"
