#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipes that ship, but debian-12, which the other tests build: each one builds and passes its own tests on a
# real guest. `library.sh BUILD NAME...` tries only these.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq
export APP_PASSWORD="canary-$RANDOM-$RANDOM-$RANDOM"
library=$source_dir/recipes/library
names=("${@:2}")
[ ${#names[@]} -gt 0 ] || names=(web-nginx postgres debian-12-uefi)
for name in "${names[@]}"; do
    say "$name"
    expect 0 "$kiln" build "$library/$name.toml"
    if ! "$kiln" test "$name" --junit "$scratch/$name.xml"; then fail "$name does not pass its tests"; fi
done
nothing_left_in_work
if grep -rqF -- "$APP_PASSWORD" "$KILN_HOME/logs"; then fail "the secret is in a log"; fi
