#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The recipes that ship, but debian-12, which the other tests build: each one builds and passes its own tests on a
# real guest. `library.sh BUILD NAME...` tries only these.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq ssh
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
    say "cloud-init finds its Ec2 data source, and user data reach it by the metadata service"
    printf '#!/bin/sh\nhostname >/var/lib/user-data-ran\n' >"$scratch/user-data"
    "$kiln" keypair delete library >/dev/null 2>&1 || true
    "$kiln" keypair create library --output "$scratch/library.pem" >/dev/null
    id=$("$kiln" run debian-12-cloud --name cloud-1 --key library --user-data "$scratch/user-data" \
        --volume /dev/vda=5GiB --wait --quiet)
    instances+=("$id")
    expect 0 "$kiln" instance exec cloud-1 -- cloud-init status --wait
    expect 0 "$kiln" instance exec cloud-1 -- cloud-id
    equals "$output" aws
    expect 0 "$kiln" instance exec cloud-1 -- cloud-init query platform
    equals "$output" ec2
    expect 0 "$kiln" instance exec cloud-1 -- cloud-init query instance_id
    equals "$output" "$id"
    expect 0 "$kiln" instance exec cloud-1 -- cat /var/lib/user-data-ran
    contains cloud-1
    expect 0 "$kiln" instance exec cloud-1 -- cat /home/debian/.ssh/authorized_keys
    contains "kiln-launch-key $id"
    port=$("$kiln" instance show cloud-1 --json | jq -r .ssh_port)
    equals "$(ssh -i "$scratch/library.pem" -p "$port" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR debian@127.0.0.1 'id -un; hostname')" $'debian\ncloud-1'
    "$kiln" keypair delete library >/dev/null
    expect 0 "$kiln" instance exec cloud-1 -- findmnt -nbo SIZE /
    [ "$output" -gt $((4500 << 20)) ] || fail "the root has $output bytes: it did not grow"
    imds() { # CURL-OPTION..., the path last
        "$kiln" instance exec cloud-1 -- curl -s "${@:1:$#-1}" "http://169.254.169.254${*: -1}"
    }
    equals "$(imds -o /dev/null -w '%{http_code}' /latest/meta-data/instance-id)" 401
    token=$(imds -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' /latest/api/token)
    equals "$(imds -H "X-aws-ec2-metadata-token: $token" /latest/meta-data/instance-id)" "$id"
    equals "$(imds -H "X-aws-ec2-metadata-token: $token" /latest/user-data)" "$(cat "$scratch/user-data")"
    equals "$(imds -o /dev/null -w '%{http_code}' -X PUT -H 'X-Forwarded-For: 10.0.0.1' \
        -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' /latest/api/token)" 403
fi
nothing_left_in_work
if grep -rqF -- "$APP_PASSWORD" "$KILN_HOME/logs"; then fail "the secret is in a log"; fi
