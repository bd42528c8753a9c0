#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL at random moments of publish, copy, import, pull and gc: what was there stays, what was being made is there as a
# whole or not at all, and nothing that is left grows. attack_23.sh BUILD [ROUNDS]; the label slow runs 200.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_remote.sh"
need jq
rounds=${2:-25}
seed=${KILN_SEED:-$RANDOM}
RANDOM=$seed
echo "-- $rounds rounds, KILN_SEED=$seed"
export KILN_HOME=$scratch/home
publish=$build/tests/publish_tiny
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

"$publish" base 1.0.0 public >"$scratch/base"
"$kiln" image export base -q -o "$scratch/base.ami"
"$publish" kept 1.0.0 public >/dev/null
# A pull has something to be killed in: its layer takes some of docker-registry's time.
remote=
if command -v docker-registry >/dev/null; then
    unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy REGISTRY_AUTH_FILE DOCKER_CONFIG
    serve plain
    remote=oci://127.0.0.1:$port/far
    PUBLISH_TINY_SIZE=8000000 "$publish" far 1.0.0 public >/dev/null
    "$kiln" image push far "$remote" -q >/dev/null
else
    echo "docker-registry is not installed: no pull is killed"
fi
# A region with one image: gc takes blobs in one that never had any for those of a lost catalogue.
new_spare() {
    rm -rf "$KILN_HOME/regions/spare" "$KILN_HOME/seen/spare.sqlite"
    "$kiln" registry init spare >/dev/null
    "$kiln" image copy kept --to spare >/dev/null 2>&1
}
declare -A lasts=()
killed=0

# killed_at KIND COMMAND...: kills it at a random moment of the time that such a command takes.
killed_at() {
    local kind=$1 begin pid delay status=0
    shift
    if [ -z "${lasts[$kind]:-}" ]; then # the first of its kind is only timed
        begin=$(milliseconds)
        "$@" >/dev/null 2>&1 || fail "'$*' failed"
        lasts[$kind]=$(($(milliseconds) - begin))
        return
    fi
    delay=$((lasts[$kind] * (RANDOM % 110) / 100))
    "$@" >"$scratch/log" 2>&1 &
    pid=$!
    sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
    kill -KILL $pid 2>/dev/null || true
    wait $pid 2>/dev/null || status=$?
    case $status in
        137) killed=$((killed + 1)) ;;
        0) ;;
        *) fail "'$*' exited with $status: $(cat "$scratch/log")" ;;
    esac
}

# whole REGION: all that it stores is what it was, and gc leaves nothing that nobody needs.
whole() {
    expect 0 "$kiln" registry check --region "$1"
    [ $((round % 3)) -eq 0 ] || return 0
    expect 0 "$kiln" registry gc --region "$1" --json
    equals "$("$kiln" registry check --region "$1" --json 2>/dev/null | jq -c '[.whole, .unneeded_blobs]')" "[true,0]"
    local left
    left=$(find "$KILN_HOME/regions/$1" -mindepth 2 \( -path '*/staging/*' -o -path '*/imports/*' -o -path '*/leases/*' \))
    [ -z "$left" ] || fail "left behind: $left"
}

for round in $(seq "$rounds"); do
    case $((round % 5)) in
        0)
            killed_at publish "$publish" "web-$round" 1.0.0
            whole local
            ;;
        1)
            new_spare
            killed_at copy "$kiln" image copy base --to spare
            whole spare
            ;;
        2)
            new_spare
            killed_at import "$kiln" image import "$scratch/base.ami" --region spare
            whole spare
            ;;
        3)
            for _ in $(seq 20); do
                head -c 20000 /dev/urandom >"$scratch/blob"
                mv "$scratch/blob" "$KILN_HOME/regions/local/blobs/sha256/$(sha256sum "$scratch/blob" | cut -d' ' -f1)"
            done
            killed_at gc "$kiln" registry gc
            whole local
            ;;
        4)
            [ -n "$remote" ] || continue
            new_spare
            killed_at pull "$kiln" image pull "$remote:far-1.0.0-x86_64" --region spare
            whole spare
            # Whatever it left, the next one goes on with and takes away. One that was killed at its very end, with the
            # image registered, leaves what it has stored: gc takes that after a week.
            registered=yes
            if ! "$kiln" image show far --region spare >/dev/null 2>&1; then
                registered=no
                expect 0 "$kiln" image pull "$remote:far-1.0.0-x86_64" --region spare
            fi
            expect 0 "$kiln" image verify far --region spare
            for left in $(find "$KILN_HOME/regions/spare/partial" -type f 2>/dev/null || true); do
                [ $registered = yes ] && [ -e "$KILN_HOME/regions/spare/blobs/sha256/${left##*/}" ] ||
                    fail "left behind: $left"
            done
            ;;
    esac
    equals "$("$kiln" image show base --json | jq -r .image_id)" "$(cat "$scratch/base")"
done
expect 0 "$kiln" image verify base
[ $killed -ge $((rounds / 4)) ] || fail "only $killed of $rounds were killed before they ended"
echo "$killed of $rounds were killed before they ended"
