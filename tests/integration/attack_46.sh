#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attack 46 of docs/threat-model.md: what is wrong with the file systems that a build needs is said before the work
# starts: within seconds, without a package fetched, and nothing is left behind.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img supermin unshare
unshare -rm true 2>/dev/null || skip "this user may make no mounts of its own"
library=$source_dir/recipes/library/debian-12.toml
home=$scratch/home
mkdir "$home" "$scratch/temporary" "$scratch/tools"

# Whether the work began: its first program would tell.
printf '#!/bin/sh\ntouch "%s"\nexit 1\n' "$scratch/began" >"$scratch/tools/mmdebstrap"
chmod +x "$scratch/tools/mmdebstrap"

# with MOUNTS STATUS COMMAND...: in mounts of its own that the shell line MOUNTS makes; $1 there is the scratch folder.
with() {
    local mounts=$1 status=$2 begun=$SECONDS
    shift 2
    expect "$status" unshare -rm env KILN_HOME="$home" TMPDIR="$scratch/temporary" PATH="$scratch/tools:$PATH" \
        KILN_ACCELERATOR=tcg sh -euc "$mounts"'; shift; exec "$@"' - "$scratch" "$@"
    [ $((SECONDS - begun)) -le 20 ] || fail "it took $((SECONDS - begun)) s to say so"
    [ ! -e "$scratch/began" ] || fail "the work began"
}
read_only='mount --bind "$1/home" "$1/home"; mount -o remount,ro,bind "$1/home"'

say "a full home, which is another file system"
with 'mount -t tmpfs -o size=64m none "$1/home"' 5 "$kiln" build "$library"
contains "free"
contains "$home"

say "a full folder for temporary files, which is another file system than the home"
with 'mount -t tmpfs -o size=64m none "$1/temporary"' 5 "$kiln" build "$library"
contains "free"
contains "$scratch/temporary"

say "a read-only home"
with "$read_only" 15 "$kiln" build "$library"
contains "$home"
contains "Read-only file system"

say "a read-only home with an account"
"$kiln" key show >/dev/null
cp -a "$KILN_HOME/account" "$KILN_HOME/trust" "$home/"
with "$read_only" 15 "$kiln" build "$library"
contains "$home"
contains "Read-only file system"

say "nothing is left behind"
equals "$(find "$home" -path '*/work[/]*')" ""
equals "$(ls -A "$scratch/temporary")" ""
