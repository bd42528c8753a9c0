#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The help texts of all commands fit a terminal of 80 columns. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"

seen=0
# help COMMAND...: its help, and that of the commands below it.
help() {
    local text wide
    text=$("$kiln" "$@" --help)
    wide=$(awk 'length > 80' <<<"$text")
    [ -z "$wide" ] || fail "kiln $* --help is wider than 80 columns: $wide"
    seen=$((seen + 1))
    for command in $(sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z-]*\).*/\1/p' <<<"$text"); do
        help "$@" "$command"
    done
}

say "help"
help
[ $seen -gt 25 ] || fail "only $seen help texts were found"
