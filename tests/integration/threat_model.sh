#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test that docs/threat-model.md names exists, and every test of an attack is named there.
. "$(dirname "$0")/lib.sh"
document=$source_dir/docs/threat-model.md
mapfile -t named < <(sed -n 's/^| [0-9].*|\(.*\)|$/\1/p' "$document" | grep -o '`[^`]*`' | tr -d '`')
[ ${#named[@]} -ge 20 ] || fail "the table names only ${#named[@]} tests"

for name in "${named[@]}"; do
    if [[ $name == */* ]]; then
        script=$(basename "$name" .sh)
        [ -x "$source_dir/tests/$name" ] || fail "there is no script tests/$name"
        grep -qE "kiln_integration_test\($script|^foreach\(name .*\<$script\>" "$source_dir/tests/CMakeLists.txt" || fail "$name is not run by ctest"
    else
        grep -rqE "^TEST(_F)?\(${name%.*}, ${name#*.}\)" "$source_dir/tests" --include=*.cpp || fail "there is no test $name"
    fi
done

list=$(printf '%s\n' "${named[@]}") # not by a pipe: grep -q ends at the name, and a printf that is cut is a failure
for name in $(grep -rhoE '^TEST(_F)?\([A-Za-z0-9_]+, Attack[0-9]+_[A-Za-z0-9_]+' "$source_dir/tests" --include=*.cpp |
    sed 's/^[^(]*(//; s/, /./'); do
    grep -qxF "$name" <<<"$list" || fail "docs/threat-model.md does not name $name"
done
echo "${#named[@]} tests are there"
