#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Nth write, sync, rename, unlink or open fails with EIO and ENOSPC, N = 1, 2, ... until there is no Nth any more: a
# publish and a gc end with a documented status, the region is whole after it, and the next one succeeds.
# attack_24.sh BUILD [STRIDE]: every N, or every STRIDE-th. BUILD is one without sanitizers, see tests/CMakeLists.txt.
. "$(dirname "$0")/lib.sh"
need jq strace
stride=${2:-1}
export KILN_HOME=$scratch/home
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
publish=("$build/tests/publish_tiny" web 1.0.0) gc=("$kiln" registry gc)
tries=0 faults=0

# Each try begins with the same small region: an image, and blobs that a gc takes away.
"$build/tests/publish_tiny" base 1.0.0 >/dev/null
for _ in 1 2 3; do
    head -c 2000 /dev/urandom >"$scratch/blob"
    mv "$scratch/blob" "$KILN_HOME/regions/local/blobs/sha256/$(sha256sum "$scratch/blob" | cut -d' ' -f1)"
done
mv "$KILN_HOME" "$scratch/seed"
begin_anew() {
    rm -rf "$KILN_HOME"
    cp -a "$scratch/seed" "$KILN_HOME"
}

# first_of CALL COMMAND...: the number of the first such call that is about the home; the loader's own come before.
first_of() {
    local call=$1
    shift
    [ "$call" = openat ] || { echo 1; return; }
    begin_anew
    strace -f -e trace=openat -o "$scratch/trace" "$@" >/dev/null 2>&1
    grep -n openat "$scratch/trace" | grep -m1 -F "$KILN_HOME" | cut -d: -f1
}

# with_faults CALLS ERROR COMMAND...
with_faults() {
    local calls=$1 error=$2 n status again
    shift 2
    n=$(first_of "$calls" "$@")
    [ -n "$n" ] || fail "no $calls of '$*' is about the home"
    [ "$stride" = 1 ] || n=$((n + RANDOM % stride))
    while :; do
        begin_anew
        status=0
        strace -f -o "$scratch/trace" -e trace="$calls" -e inject="$calls:error=$error:when=$n" "$@" \
            >"$scratch/log" 2>&1 || status=$?
        grep -q INJECTED "$scratch/trace" || break
        tries=$((tries + 1))
        case $status in
            0) ;; # it could do without
            5 | 9 | 14 | 15 | 16) faults=$((faults + 1)) ;;
            *) fail "$error of $calls number $n: '$*' exited with $status: $(cat "$scratch/log")" ;;
        esac
        expect 0 "$kiln" registry check
        expect 0 "${gc[@]}"
        again=0
        "$@" >"$scratch/log" 2>&1 || again=$?
        case $again in
            0 | 10) ;; # 10: it is there already, as only what came after it failed
            *) fail "after $error of $calls number $n: '$*' exited with $again: $(cat "$scratch/log")" ;;
        esac
        expect 0 "$kiln" image verify base
        equals "$("$kiln" registry check --json 2>/dev/null | jq -c '[.whole, .unneeded_blobs]')" "[true,0]"
        n=$((n + stride))
    done
}

for error in EIO ENOSPC; do
    for command in publish gc; do
        say "$error in a $command"
        declare -n words=$command
        with_faults write,pwrite64 $error "${words[@]}"
        with_faults fsync,fdatasync $error "${words[@]}"
        with_faults rename $error "${words[@]}"
        with_faults openat $error "${words[@]}"
    done
    say "$error of unlink in a gc"
    with_faults unlink $error "${gc[@]}"
done
[ $faults -ge 10 ] || fail "only $faults of $tries faults were noticed"
echo "$tries faults, $faults of them ended the command"
