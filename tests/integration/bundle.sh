#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bundles, keys and the policy with the real command line: a bundle goes to a second home, which trusts the first one's
# account or does not; its key is replaced and revoked. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq tar openssl
publish=$build/tests/publish_tiny
one=$scratch/one two=$scratch/two
cd "$scratch"
in_home() {
    local home=$1
    shift
    KILN_HOME=$home "$@"
}

say "export: a tar that tar reads, once, and the same each time"
in_home "$one" "$publish" web 1.0.0 public >id
expect 0 in_home "$one" "$kiln" image export web
contains web-1.0.0-x86_64.ami
tar tf web-1.0.0-x86_64.ami >members
equals "$(sed -n 1p members)" oci-layout
equals "$(sed -n 2p members)" index.json
equals "$(tar xOf web-1.0.0-x86_64.ami index.json | jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]')" \
    web-1.0.0-x86_64
expect 10 in_home "$one" "$kiln" image export web
contains "exists already"
in_home "$one" "$kiln" image export web -q -o - >again.ami
cmp web-1.0.0-x86_64.ami again.ami
equals "$(in_home "$one" "$kiln" image export web -o third.ami --json 2>/dev/null | jq -r .size)" "$(stat -c %s third.ami)"
expect 2 in_home "$one" "$kiln" image export web -o - --json
expect 9 in_home "$one" "$kiln" image export nothing
expect 9 in_home "$one" "$kiln" image export web -o no/such/folder/x.ami
if command -v skopeo >/dev/null; then
    equals "$(skopeo inspect --raw oci-archive:third.ami:web-1.0.0-x86_64 | jq -r .artifactType)" \
        application/vnd.kiln.ami.v1+json
else
    say "skopeo is not installed: the archive was not read with it"
fi

say "import: not without trust, then through a pipe, and only once"
expect 11 in_home "$two" "$kiln" image import third.ami
contains "importing third.ami: web 1.0.0 was refused: signature: it is not signed by a key that is trusted"
contains "kiln key trust ACCOUNT FILE"
equals "$(in_home "$two" "$kiln" image list --json)" "[]"
account=$(in_home "$one" "$kiln" key show --json | jq -r .account)
in_home "$one" "$kiln" key show --json | jq -r .public_key >public.pem
expect 0 in_home "$two" "$kiln" key trust "$account" public.pem
imported=$(in_home "$two" "$kiln" image import - --json 2>/dev/null < <(cat third.ami) | jq -r .image_id)
[ "$imported" != "$(cat id)" ] || fail "the id is the other region's"
expect 0 in_home "$two" "$kiln" image verify "$imported"
expect 0 in_home "$two" "$kiln" image show web --sbom
expect 10 in_home "$two" "$kiln" image import third.ami
contains "already in region local as $imported: the very same image"
head -c 300000 third.ami >cut.ami
expect 0 in_home "$two" "$kiln" registry init fresh
expect 11 in_home "$two" "$kiln" image import --region fresh cut.ami
contains "importing cut.ami: "
[ -z "$(ls -A "$two/regions/fresh/imports")" ] || fail "the refused import left something"
expect 0 in_home "$two" "$kiln" image import --region fresh -q third.ami
expect 9 in_home "$two" "$kiln" image import nothing.ami
expect 2 in_home "$two" "$kiln" image import "$two"

say "rotate: old images stay, the other home takes the statement, the new key signs"
old=$(in_home "$one" "$kiln" key show --json | jq -r .key_id)
expect 0 in_home "$one" "$kiln" key rotate --type ecdsa-p256 -o rotation.json
equals "$(in_home "$one" "$kiln" key list --json | jq -r '.[] | select(.signs) | .type')" ecdsa-p256
expect 0 in_home "$one" "$kiln" image verify web
in_home "$one" "$publish" web 1.1.0 public >/dev/null
expect 0 in_home "$one" "$kiln" image export web -o new.ami
expect 11 in_home "$two" "$kiln" image import new.ami
expect 0 in_home "$two" "$kiln" key apply rotation.json
expect 0 in_home "$two" "$kiln" image import new.ami
expect 0 in_home "$two" "$kiln" image verify web@1.0.0

say "revoke: what the old key signed is refused everywhere, with the reason"
expect 10 in_home "$one" "$kiln" key revoke "$(in_home "$one" "$kiln" key show --json | jq -r .key_id)" --reason x
expect 2 in_home "$one" "$kiln" key revoke "${old:7:12}" --reason stolen --since yesterday
expect 0 in_home "$one" "$kiln" key revoke "${old:7:12}" --reason "the laptop was stolen" -o revocation.json
expect 0 in_home "$two" "$kiln" key apply revocation.json
for home in "$one" "$two"; do
    expect 11 in_home "$home" "$kiln" image verify web@1.0.0
    contains "the laptop was stolen"
    expect 11 in_home "$home" "$kiln" run web@1.0.0
    expect 11 in_home "$home" "$kiln" run web@1.0.0 --allow-unsigned
    contains "the laptop was stolen"
    expect 0 in_home "$home" "$kiln" image verify web@1.1.0
done
expect 11 in_home "$two" "$kiln" key apply public.pem

say "policy: two signatures; the second by another home of the account"
three=$scratch/three
openssl genpkey -algorithm ed25519 -aes256 -pass pass:horse -out second.pem 2>/dev/null
chmod 600 second.pem
echo horse >passphrase
expect 15 in_home "$three" "$kiln" key import second.pem --account "$account"
expect 0 in_home "$three" "$kiln" key import second.pem --account "$account" --key-passphrase-file passphrase
grep -q "ENCRYPTED" "$three/account/key.pem" || fail "the copy of an encrypted key is not encrypted"
export KILN_KEY_PASSPHRASE_FILE=$scratch/passphrase
in_home "$one" "$kiln" key show --json | jq -r .public_key >new.pem
in_home "$three" "$kiln" key show --json | jq -r .public_key >three.pem
expect 0 in_home "$three" "$kiln" key trust "$account" new.pem
expect 0 in_home "$two" "$kiln" key trust "$account" three.pem
echo '{"kiln_policy": 1, "rules": [{"names": ["web"], "accounts": ["'"$account"'"], "threshold": 2}]}' >"$two/trust/policy.json"
expect 11 in_home "$two" "$kiln" image verify web@1.1.0
contains "FAIL  policy: rule 1 (web) wants 2 of the owner's trusted keys; 1 signed it"
expect 0 in_home "$three" "$kiln" image import new.ami
expect 0 in_home "$three" "$kiln" image sign web
expect 0 in_home "$three" "$kiln" image export web -o both.ami
expect 0 in_home "$two" "$kiln" registry init second
export KILN_REGION=second
expect 11 in_home "$two" "$kiln" image import new.ami
expect 0 in_home "$two" "$kiln" image import both.ami
expect 0 in_home "$two" "$kiln" image verify web
contains "wants 2 of the owner's trusted keys; 2 signed it"
expect 15 in_home "$two" "$kiln" image sign web
echo '{"kiln_policy": 1, "rules": [{"names": "web"}]}' >"$two/trust/policy.json"
expect 11 in_home "$two" "$kiln" run web
contains "policy.json: rules[0].names: "
