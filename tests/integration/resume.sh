#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A build that failed at step 7 of 9, or was killed in it, goes on at step 7; a rebuild without a change does no
# guest work; plan and explain say so beforehand; --debug shows the system as the failed step left it.
. "$(dirname "$0")/lib.sh"
need jq qemu-storage-daemon

# recipe NAME SEVENTH: nine steps over the shared AMI; the seventh runs SEVENTH.
recipe() {
    cat >"$scratch/$1.toml" <<END
name = "$1"
version = "1.0.0"
architecture = "x86_64"
[base]
ami = "debian-12@1.x.x"
END
    for step in 1 2 3 4 5 6 7 8 9; do
        if [ $step = 7 ]; then
            printf '[[step]]\nrun = """\n%s\n"""\n' "$2"
        else
            printf '[[step]]\nfile = "/var/lib/step-%s"\ncontent = "%s %s"\n' $step "$1" $step
        fi
    done >>"$scratch/$1.toml"
    echo "$scratch/$1.toml"
}
cached() { "$kiln" recipe plan "$1" --json | jq '[.[] | select(.cached)] | length'; }

say "a step that fails keeps the six before it"
file=$(recipe resumed 'echo seven > /var/lib/step-7; echo about to fail; exit 9')
equals "$(cached "$file")" 0
expect 8 "$kiln" build "$file"
contains "about to fail"
contains "the step's log:"
equals "$(cached "$file")" 6

say "--debug opens a shell where it failed"
output=$("$kiln" build "$file" --debug <<<'cat /var/lib/step-7' 2>/dev/null || true)
contains seven

say "what changed, and what it costs"
file=$(recipe resumed 'echo mended > /var/lib/step-7')
expect 0 "$kiln" recipe explain "$file"
contains "miss  run echo mended"
expect 0 "$kiln" recipe plan "$file"
contains "6 of 10 layers are in the cache"

say "the mended recipe goes on at step 7"
expect 0 "$kiln" build "$file"
contains "6 of 10 layers are in the cache"
if grep -q "step-6" <<<"$output"; then fail "step 6 was made again: $output"; fi
contains "step-8"
equals "$(cached "$file")" 10

say "a changed last step makes two layers; the explanation names it"
sed -i 's/resumed 9/another/; s/^version = .*/version = "1.0.1"/' "$file"
expect 0 "$kiln" recipe explain "$file"
contains "step/content/digest"
equals "$(cached "$file")" 8

say "SIGKILL in the middle of step 7"
file=$(recipe killed 'sleep 300')
"$kiln" build "$file" >"$scratch/log" 2>&1 &
pid=$!
for _ in $(seq 600); do
    grep -q "run sleep" "$scratch/log" && break
    sleep 0.2
done
sleep 1
kill -KILL $pid
wait $pid || true
nothing_runs "$KILN_HOME/work"
equals "$(cached "$file")" 6
file=$(recipe killed 'true')
expect 0 "$kiln" build "$file"
contains "6 of 10 layers are in the cache"
nothing_left_in_work

say "an AMI explains itself"
expect 0 "$kiln" image verify killed
equals "$("$kiln" image show killed --json | jq -r .ami.parent.name)" debian-12
"$kiln" image show killed --sbom | jq -e '.spdxVersion == "SPDX-2.3" and (.packages | length > 100)' >/dev/null ||
    fail "no bill of materials"
"$kiln" image show killed --provenance | jq -e '.buildDefinition.resolvedDependencies | length > 0' >/dev/null ||
    fail "no provenance"
