#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad input and faults: each ends with its documented status, a message that says what to do, and
# nothing half-made.
. "$(dirname "$0")/lib.sh"
need mmdebstrap qemu-img jq
library=$source_dir/recipes/library/debian-12.toml
images_before=$("$kiln" image list --json | jq length)

# recipe NAME SED...: the library's recipe under another name, edited.
recipe() {
    local file=$scratch/$1.toml
    sed "0,/^name = .*/s//name = \"$1\"/" "$library" | sed -e "" "${@:2}" >"$file"
    echo "$file"
}

say "usage"
expect 2 "$kiln" bild
expect 2 "$kiln" build
expect 2 "$kiln" run debian-12 --typo
expect 9 "$kiln" run debian-13
contains "debian-12"
expect 9 "$kiln" run debian-12 --type t3.smal
contains "t3.small"
expect 9 "$kiln" instance terminate i-00000000000000000
expect 9 "$kiln" build "$scratch/none.toml"

say "every error of a recipe at once"
expect 3 "$kiln" build "$(recipe wrong -e 's/^architecture = .*/architecture = "z80"/' -e 's/^version = .*/version = 1/')"
contains "architecture"
contains "version"
contains "2 errors"

say "a missing program"
tools=$scratch/tools
mkdir "$tools"
for program in sh env qemu-img qemu-system-x86_64; do ln -s "$(command -v $program)" "$tools/"; done
if [ ! -e /usr/sbin/mmdebstrap ] && [ ! -e /sbin/mmdebstrap ]; then
    expect 4 env PATH="$tools" "$kiln" build --no-cache "$(recipe no-tool)"
    contains "apt-get install"
    expect 4 env PATH="$tools" "$kiln" doctor
    contains "apt-get install mmdebstrap"
fi

if [ "$(id -u)" = 0 ] && ! grep -qs '^\(root\|0\):' /etc/subuid; then
    say "a host that gives root no namespaces"
    printf '#!/bin/sh\necho "unshare: Operation not permitted" >&2\nexit 1\n' >"$tools/unshare"
    chmod +x "$tools/unshare"
    expect 4 env PATH="$tools:$PATH" "$kiln" build --no-cache "$(recipe no-namespaces)"
    contains "no namespaces to unpack packages in: unshare: Operation not permitted"
fi

say "a package that does not exist; what the caller left open does not matter"
exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null
expect 7 "$kiln" build "$(recipe no-package -e 's/"openssh-server",/"openssh-server", "openssh-sever",/')"
contains "openssh-sever"
exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-

say "no network"
expect 6 "$kiln" build "$(recipe no-network -e 's|^suite = .*|&\nmirror = "http://127.0.0.1:9/"|')"

say "no disk space"
small=$scratch/small
mkdir "$small"
expect 5 unshare -rm sh -c 'mount -t tmpfs -o size=64m tmpfs "$1" && KILN_HOME=$1/home "$2" build "$3"' - "$small" "$kiln" "$library"
contains "free"

say "a volume that is too small"
expect 3 "$kiln" build "$(recipe too-small -e 's/^size = .*/size = "512MiB"/' -e 's/^packages = \[/packages = ["gcc", "clang",/')"
contains "storage[0].size"

say "a run step that fails"
printf '\n[[step]]\nrun = "echo about to fail; exit 9"\n' >"$scratch/tail"
file=$(recipe failing-step)
cat "$scratch/tail" >>"$file"
expect 8 "$kiln" build "$file"
contains "failing-step.toml:"
contains "about to fail"
contains "status 9"

say "Ctrl-C leaves no process and no AMI"
for after in 5 45; do
    "$kiln" build --no-cache "$(recipe interrupted)" >"$scratch/log" 2>&1 &
    pid=$!
    sleep $after
    kill -INT $pid
    status=0
    wait $pid || status=$?
    equals "$status" 130
    nothing_runs "$KILN_HOME/work"
    nothing_runs mmdebstrap
    nothing_left_in_work
done

say "a SIGKILL leaves no AMI and no mount, and the next build sweeps its folder"
"$kiln" build --no-cache "$(recipe killed)" >"$scratch/log" 2>&1 &
pid=$!
sleep 20
kill -KILL $pid
wait $pid || true
nothing_runs "$KILN_HOME/work"
nothing_runs mmdebstrap
! grep -F -e mmdebstrap -e "$KILN_HOME" /proc/self/mounts || fail "mounts are left"
[ -n "$(ls -A "$KILN_HOME/work")" ] || fail "the killed build left no folder to sweep"
expect 7 "$kiln" build "$(recipe sweeper -e 's/"openssh-server",/"openssh-sever",/')"
nothing_left_in_work

equals "$("$kiln" image list --json | jq length)" "$images_before"
