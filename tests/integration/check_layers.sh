#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ci/check-layers passes on this tree and fails on one with a forbidden include.
. "$(dirname "$0")/lib.sh"
expect 0 "$source_dir/ci/check-layers"
mkdir -p "$scratch/tree/launcher" "$scratch/tree/core"
echo '#include "builder/build.h"' >"$scratch/tree/launcher/x.cpp"
expect 1 "$source_dir/ci/check-layers" "$scratch/tree"
contains "launcher/x.cpp:1: launcher must not include builder"
