# SPDX-License-Identifier: Apache-2.0
# Shared by the integration tests: where kiln is, the home with the one Debian AMI that all share,
# and assertions that say what was expected. Sourced; the first argument of each test is the build folder.
set -euo pipefail
build=$1
kiln=$build/kiln
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export KILN_HOME=$build/integration-home
scratch=$(mktemp -d)
instances=()
at_end=() # functions; a trap of a test's own would lose its status

cleanup() {
    local status=$? last
    for last in "${at_end[@]}"; do
        "$last" || true
    done
    for id in "${instances[@]}"; do
        "$kiln" instance terminate "$id" >/dev/null 2>&1 || true
    done
    rm -rf "$scratch"
    exit $status
}
trap cleanup EXIT

say() { echo "-- $*"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
skip() {
    echo "SKIP: $*"
    exit 77
}
need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "the program $program is not installed"
    done
}

# expect STATUS COMMAND...: runs it, keeps $output (both streams), fails on another exit status.
expect() {
    local wanted=$1 status=0
    shift
    output=$("$@" 2>&1) || status=$?
    [ $status -eq "$wanted" ] || fail "'$*' exited with $status, not $wanted: $output"
}
# contains TEXT: the last output has it.
contains() { grep -qF -- "$1" <<<"$output" || fail "no '$1' in: $output"; }
equals() { [ "$1" = "$2" ] || fail "'$1' is not '$2'"; }

# nothing_runs PATTERN: no process of this home is left. Waits up to 20 s for it to clean up.
nothing_runs() {
    for _ in $(seq 200); do
        pgrep -f -- "$1" >/dev/null || return 0
        sleep 0.1
    done
    fail "still running: $(pgrep -af -- "$1")"
}
# reachable FOLDER...: QEMU's stand-ins in the scratch folder, and what they write, are for its service user too.
reachable() {
    chmod 711 "$scratch"
    chmod 777 "$@"
}

# confined INSTANCE: where Kiln runs as root its QEMU is another user without anything of root's: no capability, no group,
# no access to the home, and nothing open there but what is its own.
confined() {
    local pid user uid gid status line secret wrong
    [ "$(id -u)" = 0 ] || return 0
    pid=$(pgrep -f -- "qemu-system-x86_64.*guest=$1," | head -n 1)
    user=$("$kiln" instance show "$1" --json | jq -r '.confined | .user_reason // .user')
    case $user in "this process may not become"*) say "QEMU is root: $user"; return 0 ;; esac
    uid=$(id -u "$user") gid=$(id -g "$user") || fail "QEMU is no other user: $user"
    [ "$uid" != 0 ] || fail "QEMU is root"
    status=$(tr -s '\t ' ' ' <"/proc/$pid/status")
    for line in "Uid: $uid $uid $uid $uid" "Gid: $gid $gid $gid $gid" "NoNewPrivs: 1" "Cap"{Inh,Prm,Eff,Bnd,Amb}": 0000000000000000"; do
        grep -qxF "$line" <<<"$status" || fail "not '$line': $status"
    done
    grep -qx "Groups: *" <<<"$status" || fail "it has groups: $(grep Groups <<<"$status")"
    for secret in "$KILN_HOME/instances/$1/instance.json" "$KILN_HOME/account" "$KILN_HOME/instances/$1/disks"; do
        [ -e "$secret" ] || fail "there is no $secret"
        setpriv --reuid "$uid" --regid "$gid" --clear-groups --inh-caps=-all test -r "$secret" && fail "$user can read $secret"
    done
    wrong=$(find "/proc/$pid/fd" "/proc/$pid/cwd" -printf '%l\n' | grep -E "^($KILN_HOME|/tmp/kiln-|/run)/" |
        grep -vE "/(instances/$1/(disks/.*|console.log|qemu.log|firmware-variables.fd)|volumes/vol-.*|regions/.*/blobs/.*|$1/frames)\$" || true)
    [ -z "$wrong" ] || fail "QEMU has open: $wrong"
}
nothing_left_in_work() {
    local left
    left=$(find "$KILN_HOME/work" -mindepth 1 -maxdepth 1 2>/dev/null || true)
    [ -z "$left" ] || fail "left behind: $left"
}
