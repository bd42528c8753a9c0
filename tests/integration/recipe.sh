#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kiln recipe: a new recipe is right at once, what is wrong is told with the exit status for it, and the schema is
# JSON. Needs no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq
export KILN_HOME=$scratch/home
cd "$scratch"

say "new: a recipe that is right"
expect 0 "$kiln" recipe new web-1
contains "kiln build web-1.toml"
expect 0 "$kiln" recipe check web-1.toml
contains "web-1 1.0.0 is fine"
equals "$("$kiln" recipe check web-1.toml --json | jq -r .recipe.name)" web-1
equals "$("$kiln" recipe new web-2 --json | jq -r .file)" web-2.toml

say "new: a name that is none, or is taken, leaves no file and changes none"
before=$(sha256sum web-1.toml)
expect 10 "$kiln" recipe new web-1
contains "web-1.toml exists"
equals "$(sha256sum web-1.toml)" "$before"
ln -s nowhere web-3.toml
expect 10 "$kiln" recipe new web-3
for name in x ../out /tmp/out Web -web; do
    expect 2 "$kiln" recipe new -- "$name"
done
contains "lower-case letters"
equals "$(echo ./*)" "./web-1.toml ./web-2.toml ./web-3.toml"

say "--set: parameters reach the recipe, and what is wrong with them is said"
digest() { "$kiln" recipe check web-1.toml --json "$@" | jq -r .digest; }
[ "$(digest --set greeting=Hi)" != "$(digest)" ] || fail "the digest does not follow --set"
equals "$(digest --set greeting=a --set greeting=Hi)" "$(digest --set greeting=Hi)"
expect 2 "$kiln" recipe check web-1.toml --set greetin=Hi
contains 'did you mean "greeting"?'
expect 2 "$kiln" recipe check web-1.toml --set greeting
contains "--set listen_port=8080"
sed -i 's/^default = "Welcome."$/allowed = ["Hi", "Ho"]/' web-1.toml
expect 3 "$kiln" recipe check web-1.toml
contains "--set greeting=TEXT"
expect 3 "$kiln" recipe check web-1.toml --set greeting=Hey
contains "allowed: Hi, Ho"
expect 0 "$kiln" recipe check web-1.toml --set greeting=Ho

say "check: components beside the recipe, and errors in them"
mkdir components
printf '%s\n' 'name = "web"' 'version = "1.2.0"' '[[build]]' 'run = "true"' >components/web.toml
printf '%s\n' '[[step]]' 'component = "web@1.x.x"' >>web-2.toml
expect 0 "$kiln" recipe check web-2.toml
echo 'timeout = "never"' >>components/web.toml
expect 3 "$kiln" recipe check web-2.toml
contains "components/web.toml:5:11: build[0].timeout"
expect 9 "$kiln" recipe check none.toml

say "schema: JSON that names every part of the language"
equals "$("$kiln" recipe schema | jq -r '."$schema"')" https://json-schema.org/draft/2020-12/schema
equals "$("$kiln" recipe schema --json | jq -r '.properties.step.items."$ref"')" '#/$defs/step'
equals "$(KILN_DATA_DIR=/nonexistent "$kiln" recipe schema | jq -r .title)" "Kiln recipe"
