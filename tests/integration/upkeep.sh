#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The upkeep of a region by the command line: gc, check and repair, the audit log, lifecycle policies; also what a user
# does wrong. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq
export KILN_HOME=$scratch/home
region=$KILN_HOME/regions/local
publish() { "$build/tests/publish_tiny" "$@"; }
layer_of() { "$kiln" image show "$1" --region "${2:-local}" --json | jq -r '.ami.block_device_mappings[0].layers[0].digest | ltrimstr("sha256:")'; }
# An instance's record as a launch writes it, of an image with that layer.
instance() {
    mkdir -p "$KILN_HOME/instances/$1"
    sed -e "s|\"instance_id\": \"[^\"]*\"|\"instance_id\": \"$1\"|" -e "s|\"image_id\": \"[^\"]*\"|\"image_id\": \"$2\"|" \
        -e "s|\"region\": \"[^\"]*\"|\"region\": \"local\"|" -e "s|blobs/sha256/[0-9a-f]*|blobs/sha256/$3|" \
        "$source_dir/tests/golden/launcher/instance.json" |
        jq --arg layer "$region/blobs/sha256/$3" '.disks[0].layers = [$layer]' >"$KILN_HOME/instances/$1/instance.json"
}

say "gc of an empty home, and of a region with nothing to remove"
expect 0 "$kiln" registry gc
contains "removed 0 blobs"
one=$(publish web 1.0.0)
two=$(publish web 1.1.0)
three=$(publish web 1.2.0)
expect 0 "$kiln" registry gc --json
equals "$(jq -c '[.blobs, .index_entries, .leftovers, .freed]' <<<"$output")" '[[],[],[],0]'
expect 9 "$kiln" registry gc --region nowhere
expect 2 "$kiln" registry gc --region ../x

say "gc of what was deregistered, but not while an instance uses it"
layer=$(layer_of "$one")
expect 0 "$kiln" image deregister "$one"
instance i-0123456789abcdef0 "$one" "$layer"
expect 0 "$kiln" registry gc
[ -e "$region/blobs/sha256/$layer" ] || fail "the instance's layer is gone"
echo '{' >"$KILN_HOME/instances/i-0123456789abcdef0/instance.json"
expect 14 "$kiln" registry gc
rm -r "$KILN_HOME/instances/i-0123456789abcdef0"
expect 0 "$kiln" registry gc --dry-run
contains "would remove 1 blobs"
[ -e "$region/blobs/sha256/$layer" ] || fail "a dry run removed something"
expect 0 "$kiln" registry gc
contains "$layer"
[ ! -e "$region/blobs/sha256/$layer" ] || fail "the layer stayed"
expect 0 "$kiln" image history "$one"
contains deregister
expect 0 "$kiln" image verify "$two"

say "check"
expect 0 "$kiln" registry check
contains "all is as it should be"
expect 0 "$kiln" registry init eu-west
expect 0 "$kiln" image copy "$two" --to eu-west
expect 0 "$kiln" image export "$three" -q -o "$scratch/three.ami"
# The copy in eu-west is a hard link; a blob of its own is what heals.
torn() {
    cp "$1" "$1.copy" && chmod u+w "$1.copy" && printf X | dd of="$1.copy" bs=1 seek=1000 conv=notrunc status=none
    mv -f "$1.copy" "$1"
}
torn "$region/blobs/sha256/$(layer_of "$two")"
torn "$region/blobs/sha256/$(layer_of "$three")"
echo '{' >"$region/index.json"
expect 16 "$kiln" registry check
contains "of web 1.1.0 ($two)"
contains "--repair"
equals "$("$kiln" registry check --json 2>/dev/null | jq -r '[.damages[].kind] | unique | join(" ")' || true)" "blob index"
expect 16 "$kiln" registry check --repair
contains "restored from region eu-west"
contains "no other region has it"
contains "kiln image import FILE"
equals "$(find "$region/quarantine" -type f | wc -l)" 3
expect 0 "$kiln" image verify "$two"
expect 11 "$kiln" image verify "$three"
expect 0 "$kiln" image import "$scratch/three.ami"
contains "$three"
expect 0 "$kiln" image verify "$three"
expect 0 "$kiln" registry check
echo '{}' >"$region/oci-layout"
expect 16 "$kiln" registry check
contains oci-layout
expect 0 "$kiln" registry check --repair
expect 0 "$kiln" registry check
expect 9 "$kiln" registry check --region nowhere

say "the audit log"
expect 15 env KILN_HOME="$scratch/other" sh -c "mkdir -p '$scratch/other/regions' && ln -s '$region' '$scratch/other/regions/local' &&
    '$kiln' key create >/dev/null && '$kiln' image disable '$two'"
log=$("$kiln" registry log --json)
equals "$(jq -r '[.[] | select(.signed) | .action] | join(" ")' <<<"$log")" "publish publish publish deregister"
equals "$(jq -r '[.[] | select(.signed) | .number] | join(" ")' <<<"$log")" "1 2 3 4"
equals "$(jq -r '[.[] | select(.signed) | .verified] | all' <<<"$log")" true
equals "$(jq -r '[.[] | select(.signed | not) | .action] | join(" ")' <<<"$log")" "collect collect repair restore refused"
equals "$(jq -r '.[-1] | [.image_id, .details.what, .details.kind] | join(" ")' <<<"$log")" "$two disable permission-denied"
equals "$("$kiln" registry log --image "$one" --json | jq -r '[.[].action] | join(" ")')" "publish deregister"
equals "$("$kiln" registry log --since 2099-01-01 --json)" "[]"
expect 0 "$kiln" registry log
contains "refused"
expect 2 "$kiln" registry log --since yesterday
expect 9 "$kiln" registry log --image nothing

say "a lifecycle policy: every error at once"
cat >"$scratch/wrong.toml" <<'END'
name = "tidy"
[[rule]]
action = "delete"
names = ["*", "Web"]
[[rule]]
action = "deprecate"
names = ["web"]
older_than = "soon"
kep = 3
END
expect 3 "$kiln" registry lifecycle apply "$scratch/wrong.toml"
contains 'wrong.toml:3:10: rule[0].action: "delete" is not an action'
contains 'rule[0].names[1]: "Web" is neither'
contains 'rule[1].older_than: "soon" is not an age'
contains 'kep'
contains "nothing says when an image is due"
expect 9 "$kiln" registry lifecycle apply "$scratch/none.toml"

say "a lifecycle policy: planned, applied, and nothing left to do"
four=$(publish web 1.3.0)
expect 0 "$kiln" image channel "$two" stable
cat >"$scratch/tidy.toml" <<'END'
name = "tidy"
[[rule]]
action = "deregister"
names = ["web*"]
keep = 1
END
expect 0 "$kiln" registry lifecycle apply "$scratch/tidy.toml" --dry-run
contains "would change 1 of 2"
contains "the channel stable names it"
equals "$("$kiln" image list --json | jq length)" 3
expect 0 "$kiln" registry lifecycle apply "$scratch/tidy.toml" --json
equals "$(jq -c '[.images[] | [.version, .result]]' <<<"$output")" '[["1.1.0","kept"],["1.2.0","done"]]'
equals "$("$kiln" image list --json | jq -r '[.[].version] | sort | join(" ")')" "1.1.0 1.3.0"
expect 0 "$kiln" registry lifecycle apply "$scratch/tidy.toml"
contains "changed 0 of 1"
instance i-0123456789abcdef0 "$two" "$(layer_of "$two")"
expect 0 "$kiln" image channel "$two" stable --leave
expect 0 "$kiln" registry lifecycle apply "$scratch/tidy.toml"
contains "in use by i-0123456789abcdef0"
expect 0 "$kiln" image verify "$four"
expect 0 "$kiln" registry gc
expect 0 "$kiln" registry check
