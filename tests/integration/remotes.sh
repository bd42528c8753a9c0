#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Push and pull against a real docker-registry on a loopback port: what is there is skipped, a killed pull goes on, an
# account that was given permission pulls, another one does not, and skopeo reads and verifies what Kiln wrote. Needs no
# guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_remote.sh"
need jq docker-registry openssl perl
publish=$build/tests/publish_tiny
one=$scratch/one two=$scratch/two three=$scratch/three
# No proxy and no credentials of whoever runs this.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy REGISTRY_AUTH_FILE DOCKER_CONFIG
export HOME=$scratch XDG_RUNTIME_DIR=$scratch XDG_CONFIG_HOME=$scratch/config
cd "$scratch"
in_home() {
    local home=$1
    shift
    KILN_HOME=$home "$@"
}

serve plain
host=127.0.0.1:$port

say "push: to an empty registry, and again"
in_home "$one" "$publish" web 1.0.0 >/dev/null
expect 0 in_home "$one" "$kiln" image push web "oci://$host/team/web" --json -q
equals "$(jq -r .tag <<<"$output")" web-1.0.0-x86_64
equals "$(jq -r '.present, .cosign, .referrers' <<<"$output" | xargs)" "0 false tag"
sent=$(jq -r .sent <<<"$output")
expect 0 in_home "$one" "$kiln" image push web "oci://$host/team/web"
contains "oci://$host/team/web:web-1.0.0-x86_64  0 B sent"
contains "without signatures for cosign and skopeo: they take ECDSA P-256 keys"
equals "$(in_home "$one" "$kiln" image push web "oci://$host/team/web" --json -q | jq -r .present)" "$sent"

say "what is wrong is said"
expect 2 in_home "$one" "$kiln" image push web "$host/team/web"
expect 2 in_home "$one" "$kiln" image push web "oci://me:hunter2@$host/team/web"
grep -q hunter2 <<<"$output" && fail "the password is repeated: $output"
expect 2 in_home "$one" "$kiln" image pull "oci://$host/team/web"
contains "names no image in the repository"
expect 9 in_home "$one" "$kiln" image pull "oci://$host/team/web:nothing"
expect 9 in_home "$one" "$kiln" image push nothing "oci://$host/team/web"
expect 10 in_home "$one" "$kiln" image pull "oci://$host/team/web:web-1.0.0-x86_64"
contains "the very same image"
expect 6 in_home "$one" "$kiln" image pull "oci://127.0.0.1:1/web:x" -q
contains "the registry 127.0.0.1:1, repository web: it can't be reached"

say "an account that was given permission pulls, another one does not"
account=$(in_home "$one" "$kiln" key show --json | jq -r .account)
in_home "$one" "$kiln" key show --json | jq -r .public_key >one.pem
for home in "$two" "$three"; do
    in_home "$home" "$kiln" key create >/dev/null
done
guest=$(in_home "$two" "$kiln" key show --json | jq -r .account)
pull=("$kiln" image pull "oci://$host/team/web:web-1.0.0-x86_64")
expect 11 in_home "$two" "${pull[@]}"
contains "kiln key trust ACCOUNT FILE"
for home in "$two" "$three"; do
    in_home "$home" "$kiln" key trust "$account" one.pem >/dev/null
done
expect 15 in_home "$two" "${pull[@]}"
contains "account $guest may not launch it"
in_home "$one" "$kiln" image share web --account "$guest" >/dev/null
expect 0 in_home "$one" "$kiln" image push web "oci://$host/team/web" -q
expect 15 in_home "$three" "${pull[@]}"
expect 0 in_home "$two" "${pull[@]}" --json -q
pulled=$(jq -r .image_id <<<"$output")
expect 0 in_home "$two" "$kiln" image verify "$pulled"
expect 0 in_home "$two" "$kiln" image show web --sbom
equals "$(in_home "$three" "$kiln" image list --all --json)" "[]"

say "a pull that is killed goes on"
PUBLISH_TINY_SIZE=150000000 in_home "$one" "$publish" large 1.0.0 public >/dev/null
expect 0 in_home "$one" "$kiln" image push large "oci://$host/large:1.0.0" -q
for try in 1 2 3 4 5; do
    KILN_HOME=$two "$kiln" image pull "oci://$host/large:1.0.0" -q >/dev/null 2>&1 &
    puller=$!
    until [ -n "$(find "$two/regions/local/partial" -size +100k 2>/dev/null)" ] || ! kill -0 $puller 2>/dev/null; do
        sleep 0.01
    done
    kill -STOP "$server" # so that it ends nowhere but in the middle
    kill -KILL $puller 2>/dev/null || true
    wait $puller 2>/dev/null || true
    kill -CONT "$server"
    [ -n "$(find "$two/regions/local/partial" -type f -size +100k)" ] && break
    fail "the pull was over before it was killed (try $try)"
done
expect 9 in_home "$two" "$kiln" image show large
expect 0 in_home "$two" "$kiln" image pull "oci://$host/large:1.0.0" --json -q
resumed=$(jq -r .pulled_from.resumed <<<"$output")
[ "$resumed" -ge 100000 ] || fail "only $resumed bytes were there: $output"
expect 0 in_home "$two" "$kiln" image verify large
[ -z "$(ls -A "$two/regions/local/partial" "$two/regions/local/imports" | grep -v :)" ] || fail "the pull left something"

say "a blob that was changed on the server is refused"
layer=$(in_home "$one" "$kiln" image show web --json | jq -r '.ami.block_device_mappings[0].layers[0].digest')
hex=${layer#sha256:}
data=plain/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data
cp "$data" kept
printf x | dd of="$data" bs=1 seek=200000 conv=notrunc status=none
in_home "$two" "$kiln" registry init fresh >/dev/null
in_home "$two" "$kiln" registry init again >/dev/null
expect 11 in_home "$two" "${pull[@]}" --region fresh
contains "what it sends as the layer $layer is something else"
equals "$(in_home "$two" "$kiln" image list --region fresh --json)" "[]"
cp kept "$data"
expect 0 in_home "$two" "${pull[@]}" --region fresh

say "a login, and TLS by an authority of its own"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.pem -days 2 \
    -subj /CN=localhost -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" 2>/dev/null
echo "me:$(perl -e 'print crypt("hunter2", "\$2y\$05\$abcdefghijklmnopqrstuu")')" >htpasswd
tls=", tls: {certificate: $scratch/tls.pem, key: $scratch/tls.key}" \
    serve private "auth: {htpasswd: {realm: kiln, path: $scratch/htpasswd}}"
private=oci://127.0.0.1:$port/web
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out other-tls.pem -days 2 \
    -subj /CN=localhost 2>/dev/null
expect 11 in_home "$one" "$kiln" image push web "$private" --ca other-tls.pem
contains "no certificate that is trusted for this host"
expect 2 in_home "$one" "$kiln" image push web "$private" --ca htpasswd
expect 9 in_home "$one" "$kiln" image push web "$private" --ca nothing.pem
expect 6 in_home "$one" "$kiln" image push web "$private"
expect 15 in_home "$one" "$kiln" image push web "$private" --ca tls.pem
contains "it asks for a login, and no file has credentials for 127.0.0.1:$port"
echo '{"auths": {"127.0.0.1:'"$port"'": {"auth": "'"$(printf me:wrong | base64)"'"}}}' >auth.json
chmod 600 auth.json
REGISTRY_AUTH_FILE=$scratch/auth.json expect 15 in_home "$one" "$kiln" image push web "$private" --ca tls.pem
contains "it refuses the name and password in $scratch/auth.json"
echo '{"auths": {"127.0.0.1:'"$port"'": {"auth": "'"$(printf me:hunter2 | base64)"'"}}}' >"$one/registry-auth.json"
chmod 644 "$one/registry-auth.json"
expect 15 in_home "$one" "$kiln" image push web "$private" --ca tls.pem
contains "chmod 600"
chmod 600 "$one/registry-auth.json"
expect 0 in_home "$one" "$kiln" image push web "$private" --ca tls.pem
contains "${private}:web-1.0.0-x86_64"
cp -p "$one/registry-auth.json" "$two/registry-auth.json"
expect 0 in_home "$two" "$kiln" image pull "$private:web-1.0.0-x86_64" --ca tls.pem --region again

say "cosign's signatures"
expect 0 in_home "$one" "$kiln" key rotate --type ecdsa-p256
in_home "$one" "$kiln" key show --json | jq -r .public_key >p256.pem
expect 0 in_home "$one" "$kiln" image push web "oci://$host/team/web" --json -q
equals "$(jq -r .cosign <<<"$output")" true

if ! command -v skopeo >/dev/null; then
    skip "the program skopeo is not installed: all but it was tested"
fi
say "skopeo reads the layout, the file and the remote"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >any.json
in_home "$one" "$kiln" image export web -o web.ami -q >/dev/null
for source in "oci:$one/regions/local:web-1.0.0-x86_64" "oci-archive:web.ami:web-1.0.0-x86_64" \
    "docker://$host/team/web:web-1.0.0-x86_64"; do
    equals "$(skopeo --policy any.json inspect --raw --tls-verify=false "$source" | jq -r .artifactType)" \
        application/vnd.kiln.ami.v1+json
    rm -rf copied
    expect 0 skopeo --policy any.json copy -q --src-tls-verify=false "$source" dir:copied
    [ -f "copied/$hex" ] || fail "skopeo did not copy the layer from $source"
done
skopeo --policy any.json list-tags --tls-verify=false "docker://$host/team/web" | grep '"web-1.0.0-x86_64"' >/dev/null ||
    fail "skopeo does not list the tag"

say "the signature for skopeo is one by the key, over the image's digest"
digest=$(in_home "$one" "$kiln" image show web --json | jq -r .manifest)
rm -rf copied
expect 0 skopeo --policy any.json copy -q --src-tls-verify=false \
    "docker://$host/team/web:sha256-${digest#sha256:}.sig" dir:copied
payload=copied/$(jq -r '.layers[0].digest' copied/manifest.json | cut -d: -f2)
jq -r '.layers[0].annotations["dev.cosignproject.cosign/signature"]' copied/manifest.json | base64 -d >signature
equals "$(jq -r '.critical.image["docker-manifest-digest"]' "$payload")" "$digest"
equals "$(jq -r '.critical.identity["docker-reference"]' "$payload")" "$host/team/web"
expect 0 openssl dgst -sha256 -verify p256.pem -signature signature "$payload"
openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout -out other.pem 2>/dev/null
expect 1 openssl dgst -sha256 -verify other.pem -signature signature "$payload"

say "skopeo's policy takes the right key and refuses another"
mkdir registries.d
printf 'docker:\n  %s:\n    use-sigstore-attachments: true\n' "$host" >registries.d/test.yaml
for key in p256.pem other.pem; do
    jq -n --arg repository "$host/team/web" --arg key "$scratch/$key" '{default: [{type: "reject"}], transports: {docker:
        {($repository): [{type: "sigstoreSigned", keyPath: $key, signedIdentity: {type: "matchRepository"}}]}}}' >$key.json
done
signed=(--registries.d registries.d copy -q --src-tls-verify=false "docker://$host/team/web:web-1.0.0-x86_64" dir:copied)
rm -rf copied
output=$(skopeo --policy p256.pem.json "${signed[@]}" 2>&1) && status=0 || status=$?
if grep -q "sigstore disabled" <<<"$output"; then
    echo "SKIP: Debian's skopeo is built without sigstore policies ($output); openssl verified the signature"
    exit 0
fi
equals "$status $output" "0 "
rm -rf copied
expect 1 skopeo --policy other.pem.json "${signed[@]}"
