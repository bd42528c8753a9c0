# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: the table of results, and the document that has it.

markdown() {
    echo '| case | Kiln | against | ratio | to reach | reached |'
    echo '| --- | --- | --- | --- | --- | --- |'
    jq -r 'def fixed($digits): pow(10; $digits) as $f | (. * $f | round / $f | tostring);
        def seconds: if . == "-" then . else ((tonumber | fixed(2)) + " s") end;
        .ours as $text | (try ($text | seconds) catch $text) as $ours |
        (if .against == "-" then "-" else (.ours | tonumber) / (.against | tonumber) |
            if . < 1 then "1/" + (1 / . | fixed(1)) else fixed(2) + " x" end end) as $ratio |
        "| \(.case) | \($ours) | \(.against | seconds) | \($ratio) | \(.target) | \(.met) |"' "$rows"
}

print_table() {
    markdown | sed 's/^| //; s/ |$//' | grep -v '^---' | sed 's/ | /\t/g; s/`//g' | column -t -s "$(printf '\t')"
}

machine() {
    local cpu memory
    cpu=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
    memory=$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)
    echo "$(date -u +%F), $(nproc) cores ($cpu), $memory of memory, $(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r | cut -d . -f 1,2);"
    echo "accelerator $accelerator. QEMU $(qemu-img --version | awk '{ print $3; exit }'), libguestfs" \
        "$(pkg-config --modversion libguestfs), guestfs-tools $(virt-customize --version | awk '{ print $2 }'), mmdebstrap $(mmdebstrap --version | awk '{ print $2 }')."
    echo "Medians of $runs runs of each side, of $long_runs for the first build and nginx, of 10 for the rebuild of nothing; the" \
        "sides alternate. Load of the machine before the run: $load."
}

# write_document FILE: puts it between the two marks.
write_document() {
    { machine; echo; markdown; } > "$work/results"
    awk -v results="$work/results" '
        /^<!-- results/ { print; print ""; while ((getline line < results) > 0) print line; print ""; skip = 1 }
        /^<!-- end of results/ { skip = 0 }
        !skip && !/^<!-- results/ { print }' "$1" > "$work/document"
    cat "$work/document" > "$1"
}

all_met() {
    local missed
    missed=$(jq -r 'select(.met != "yes") | "not reached: \(.case) (\(.target))"' "$rows")
    if [ -n "$missed" ]; then
        echo "$missed"
        return 1
    fi
}
