#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kiln build --lock: what it writes, that later builds keep to it, with layers from the cache where these have the
# locked packages, and that they fail with exit status 7 and the differences where they can't.
. "$(dirname "$0")/lib.sh"
need jq apt-get setpriv unshare qemu-storage-daemon
cd "$scratch"
echo hello >motd
cat >locked.toml <<'END'
name = "locked"
version = "1.0.0"
architecture = "x86_64"
[base]
ami = "debian-12@1.x.x"
[[step]]
packages = ["tree"]
[[step]]
file = "/etc/motd"
source = "motd"
END
lock=locked.lock.json
raise() { sed -i "s/^version = .*/version = \"$1\"/" locked.toml; }
plan() { "$kiln" recipe plan locked.toml --json; }
misses() { plan | jq -c '[.[] | select(.cached | not) | .title]'; }

say "--lock writes the packages with their digests, the files and the parent"
expect 0 "$kiln" build locked.toml --lock
equals "$(jq -c '[.layers[].step]' $lock)" '["step 1"]'
jq -e '.layers[0].packages[] | select(.name == "tree" and (.sha256 | test("^[0-9a-f]{64}$")))' $lock >/dev/null ||
    fail "no tree in $(cat $lock)"
equals "$(jq -r '.inputs.motd' $lock)" "sha256:$(sha256sum motd | cut -d' ' -f1)"
equals "$(jq -r '.inputs["ami debian-12@1.x.x"]' $lock)" "$("$kiln" image show debian-12 --json | jq -r .manifest)"

say "of an image that is there it writes the same"
cp $lock first.json
rm $lock
equals "$("$kiln" build locked.toml --lock --json | jq -c '[.reused, .lock_file]')" '[true,"locked.lock.json"]'
cmp $lock first.json
expect 0 "$kiln" build locked.toml
contains "built before"

say "a build with it takes the layers that were made without; plan knows them"
equals "$(misses)" '[]'
version=$(jq -r '.layers[0].packages[] | select(.name == "tree").version' $lock)
jq '(.layers[0].packages[] | select(.name == "tree")).version = "0.1"' first.json >$lock
equals "$(misses)" '["packages tree","file /etc/motd","seal and inspect"]'
expect 0 "$kiln" recipe explain locked.toml
contains "locked"

say "a locked version that is not the image's, and one that the archive has no longer"
for number in 1.0.0 1.0.1; do
    raise $number
    expect 7 "$kiln" build locked.toml
    contains "step 1: tree 0.1 is locked, the build has $version"
    contains '`kiln build RECIPE --lock` renews the lock file'
done
cmp <(jq '(.layers[0].packages[] | select(.name == "tree")).version = "0.1"' first.json) $lock

say "an input that changed is told before any work"
cp first.json $lock
echo changed >motd
expect 7 "$kiln" build locked.toml
contains "motd changed"
if grep -q appliance <<<"$output"; then fail "it worked first: $output"; fi
expect 7 "$kiln" recipe plan locked.toml
contains "motd changed"

say "--lock renews it"
expect 0 "$kiln" build locked.toml --lock
[ "$(jq -r .inputs.motd $lock)" != "$(jq -r .inputs.motd first.json)" ] || fail "the lock file is the old one"
equals "$(misses)" '[]'
nothing_left_in_work
