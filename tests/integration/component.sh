#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kiln component: what is published is found by recipes, after the files beside them, and only as it was signed. Needs
# no guest: a part of the unit tests.
. "$(dirname "$0")/lib.sh"
need jq
export KILN_HOME=$scratch/home
cd "$scratch"
"$kiln" recipe new web >/dev/null
printf '%s\n' '[[step]]' 'component = "server@1.x.x"' >>web.toml

# component VERSION TEXT: a file of that version which writes TEXT.
component() {
    printf '%s\n' 'name = "server"' "version = \"$1\"" '[[build]]' 'file = "/etc/server"' "content = \"$2\"" >server.toml
}
digest() { echo "sha256:$(printf %s "$1" | sha256sum | cut -d' ' -f1)"; }
uses() {
    expect 0 "$kiln" recipe check web.toml --json
    contains "$(digest "$1")"
}

say "a component that is nowhere; looking for it makes no region"
expect 3 "$kiln" recipe check web.toml
contains "kiln component list"
[ ! -e "$KILN_HOME/regions" ] || fail "the check made a region"
expect 0 "$kiln" component list
contains "no component yet"

say "publish, list, show, use"
component 1.0.0 first
expect 0 "$kiln" component publish server.toml
contains "server@1.0.0  signed by account"
component 1.1.0 second
equals "$("$kiln" component publish server.toml --json | jq -r '"\(.name) \(.version)"')" "server 1.1.0"
equals "$("$kiln" component list --json | jq -c '[.[].version]')" '["1.1.0","1.0.0"]'
"$kiln" component show server >shown
cmp shown server.toml
equals "$("$kiln" component show server@1.0.x --json | jq -r .version)" 1.0.0
expect 0 "$kiln" recipe check web.toml
uses second
expect 9 "$kiln" component show servre
contains "did you mean server"
expect 2 "$kiln" component show server@1

say "a version is published once; what no recipe could use is not"
component 1.1.0 third
expect 10 "$kiln" component publish server.toml
contains "raise its version"
uses second
printf '%s\n' '[[build]]' 'file = "/etc/more"' 'source = "motd"' >>server.toml
expect 3 "$kiln" component publish server.toml
contains "no files beside it"

say "files come first"
component 1.0.5 beside
mkdir components
mv server.toml components/
uses beside
rm -r components

say "a component that was changed, or whose key is not trusted, is refused"
blob=$KILN_HOME/regions/local/blobs/sha256/$(sha256sum shown | cut -d' ' -f1)
chmod u+w "$blob"
sed -i s/second/forged/ "$blob"
expect 11 "$kiln" recipe check web.toml
contains "server@1.1.0"
sed -i s/forged/second/ "$blob"
uses second
mv "$KILN_HOME/trust" "$scratch/trust"
expect 11 "$kiln" component show server
contains "not signed by a key that is trusted"
