#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Nth write, sync, rename, unlink or open fails with EIO and ENOSPC, N = 1, 2, ... until there is no Nth any more: a
# publish and a gc end with a documented status, the region is whole after it, and the next one succeeds.
# attack_24.sh BUILD [STRIDE]: every N, or every STRIDE-th. BUILD is one without sanitizers, see tests/CMakeLists.txt.
. "$(dirname "$0")/lib.sh"
need jq strace
stride=${2:-1}
export KILN_HOME=$scratch/home
publish=$build/tests/publish_tiny
strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
"$publish" base 1.0.0 >/dev/null
tries=0 faults=0 number=0

# first_of CALL COMMAND...: the number of the first such call that is about the home; the loader's own come before.
first_of() {
    local call=$1
    shift
    [ "$call" = openat ] || { echo 1; return; }
    strace -f -e trace=openat -o "$scratch/trace" "$@" >/dev/null 2>&1
    grep -n openat "$scratch/trace" | grep -m1 -F "$KILN_HOME" | cut -d: -f1
}

garbage() {
    local blob=$KILN_HOME/regions/local/blobs/sha256
    for _ in 1 2 3; do
        head -c 2000 /dev/urandom >"$scratch/blob"
        mv "$scratch/blob" "$blob/$(sha256sum "$scratch/blob" | cut -d' ' -f1)"
    done
}

# with_faults CALLS ERROR KIND: KIND is publish or gc.
with_faults() {
    local calls=$1 error=$2 kind=$3 n status command
    [ "$kind" = publish ] && command=("$publish" "probe-$((number += 1))" 1.0.0) || command=("$kiln" registry gc)
    n=$(first_of "$calls" "${command[@]}")
    [ -n "$n" ] || fail "no $calls of $kind is about the home"
    [ "$stride" = 1 ] || n=$((n + RANDOM % stride))
    while :; do
        number=$((number + 1))
        [ "$kind" = publish ] && command=("$publish" "web-$number" 1.0.0) || { command=("$kiln" registry gc); garbage; }
        status=0
        strace -f -o "$scratch/trace" -e trace="$calls" -e inject="$calls:error=$error:when=$n" "${command[@]}" \
            >"$scratch/log" 2>&1 || status=$?
        grep -q INJECTED "$scratch/trace" || break
        tries=$((tries + 1))
        case $status in
            0) ;; # it could do without
            5 | 9 | 14 | 15 | 16) faults=$((faults + 1)) ;;
            *) fail "$error of $calls number $n: '${command[*]}' exited with $status: $(cat "$scratch/log")" ;;
        esac
        expect 0 "$kiln" registry check
        n=$((n + stride))
    done
    expect 0 "$kiln" registry gc
}

for error in EIO ENOSPC; do
    for kind in publish gc; do
        say "$error in a $kind"
        with_faults write,pwrite64 $error $kind
        with_faults fsync,fdatasync $error $kind
        with_faults rename $error $kind
        with_faults openat $error $kind
    done
    say "$error of unlink in a gc"
    with_faults unlink $error gc
done
expect 0 "$kiln" image verify base
equals "$("$kiln" registry check --json 2>/dev/null | jq -c '[.whole, .unneeded_blobs]')" "[true,0]"
[ $faults -ge 10 ] || fail "only $faults of $tries faults were noticed"
echo "$tries faults, $faults of them ended the command"
