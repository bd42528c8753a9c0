#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A `packages` step on the Debian AMI: resolved and fetched on the host, installed in the appliance.
. "$(dirname "$0")/lib.sh"
need jq apt-get setpriv unshare
region=$KILN_HOME/regions/local
manifest=$(jq -r '[.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] // "" |
    startswith("debian-12-1."))][0].digest | ltrimstr("sha256:")' "$region/index.json")
mapfile -t layers < <(jq -r --arg blobs "$region/blobs/sha256/" \
    '.layers[].digest | ltrimstr("sha256:") | $blobs + .' "$region/blobs/sha256/$manifest")

# install WORD...: on a fresh overlay.
install() {
    rm -rf "$scratch/work"
    mkdir -p "$scratch/work"
    timeout 300 "$build/tests/install_packages" "$scratch/cache" "$scratch/work" $((2 << 30)) "${layers[@]}" -- "$@"
}

say "adds with dependencies, removes, holds"
expect 0 install nginx-light less- =nginx-light
grep ^time <<<"$output"
contains "installed nginx-common 1."
contains "state nginx-light hold ok installed"
if grep -q "^state less install" <<<"$output"; then fail "less is still installed"; fi
contains "left false"
grep -q "^installed nginx-light .* [0-9a-f]\{64\} http" <<<"$output" || fail "no digest in: $output"
grep -q "denied execution of start" "$scratch/work"/log || fail "policy-rc.d was not asked"
debs=("$scratch"/cache/archives/nginx-light_*.deb)
[ -f "${debs[0]}" ] || fail "the .deb file is not in the cache"

say "a package that is not there"
expect 7 install nginz-light
contains "no package nginz-light"
