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
nothing_left_in_work() {
    local left
    left=$(find "$KILN_HOME/work" -mindepth 1 -maxdepth 1 2>/dev/null || true)
    [ -z "$left" ] || fail "left behind: $left"
}
