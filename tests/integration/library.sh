#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipes that ship, but debian-12, which the other tests build: each one builds and passes its own tests on a
# real guest. `library.sh BUILD NAME...` tries only these.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq
export APP_PASSWORD="canary-$RANDOM-$RANDOM-$RANDOM"
library=$source_dir/recipes/library
names=("${@:2}")
[ ${#names[@]} -gt 0 ] || names=(web-nginx postgres debian-12-uefi debian-12-cloud)
for name in "${names[@]}"; do
    say "$name"
    expect 0 "$kiln" build "$library/$name.toml"
    if ! "$kiln" test "$name" --junit "$scratch/$name.xml"; then fail "$name does not pass its tests"; fi
done
if [[ " ${names[*]} " == *" debian-12-cloud "* ]]; then
    say "user data reach cloud-init by its NoCloud data source"
    printf '#!/bin/sh\nhostname >/var/lib/user-data-ran\n' >"$scratch/user-data"
    id=$("$kiln" run debian-12-cloud --name cloud-1 --user-data "$scratch/user-data" --wait --quiet)
    instances+=("$id")
    expect 0 "$kiln" instance exec cloud-1 -- cloud-init status --wait
    expect 0 "$kiln" instance exec cloud-1 -- cloud-id
    contains nocloud
    expect 0 "$kiln" instance exec cloud-1 -- cat /var/lib/user-data-ran
    contains cloud-1
    expect 0 "$kiln" instance exec cloud-1 -- cat /home/debian/.ssh/authorized_keys
    contains "kiln-launch-key $id"
fi
nothing_left_in_work
if grep -rqF -- "$APP_PASSWORD" "$KILN_HOME/logs"; then fail "the secret is in a log"; fi
