# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: snapshots of a running instance. KILN_BENCH_FILL is how many MiB of random data its disk gets
# (400), KILN_BENCH_LOAD_SECONDS how long the write load is measured (20).

# A loop in the guest that writes 4 KiB and waits until they are on disk; prints how often in a second, and the longest gap.
# perl-base has no Time::HiRes: clock_gettime(CLOCK_MONOTONIC) and fsync by their numbers on x86_64.
snapshot_load='sub now { my $t = "\0" x 16; syscall(228, 1, $t); my ($s, $n) = unpack("qq", $t); $s + $n / 1e9 }
open(my $f, "+>", "/var/load") or die; my $begin = now; my ($n, $worst, $last) = (0, 0, $begin);
while ($last < $begin + $ARGV[0]) { sysseek($f, 4096 * ($n++ % 256), 0); syswrite($f, "x" x 4096);
syscall(74, fileno($f)) == 0 or die; my $now = now; $worst = $now - $last if $now - $last > $worst; $last = $now }
printf "{\"rate\": %.1f, \"worst_ms\": %.1f}\n", $n / $ARGV[0], $worst * 1000;'

snapshot_guest() { # sets $guest
    if [ -z "${guest:-}" ]; then
        measure "$kiln" run debian-12 --type t3.small --name bench-snapshot --wait --quiet
        guest=$(cat "$work/output")
    fi
}
in_guest() { "$kiln" instance exec "$guest" -- "$@" </dev/null; }

# load_while COMMAND...: sets $rate (of one second) and $worst (ms) of a load that runs while the command does.
load_while() {
    local seconds=${KILN_BENCH_LOAD_SECONDS:-20}
    in_guest perl -e "$snapshot_load" "$seconds" >"$work/load" 2>"$work/load-errors" &
    local load=$!
    sleep 3
    "$@"
    wait "$load" || { cat "$work/load-errors" >&2; exit 1; }
    rate=$(jq .rate "$work/load") worst=$(jq .worst_ms "$work/load")
}

case_snapshot_pause() {
    local alone alone_worst frozen
    snapshot_guest
    load_while true
    alone=$rate alone_worst=$worst
    load_while measure "$kiln" instance snapshot "$guest" --name bench-pause --version 1.0.0 --json
    frozen=$(jq .frozen_ms "$work/output")
    say "    writes a second: $alone alone, $rate while it is snapshotted; longest gap: $alone_worst ms and $worst ms; frozen for $frozen ms"
    row "snapshot: the longest gap between writes that the guest saw, of $alone_worst ms without one; frozen for $frozen ms" \
        "$worst ms" - "< 100 ms" "$(meets "$worst" 100)"
    row "snapshot: what is left of the guest's synced writes meanwhile" \
        "$(awk -v a="$rate" -v b="$alone" 'BEGIN { printf "%.0f %%", 100 * a / b }')" - "stated" yes
}

# bench_chain AMI: its root disk as qemu-img takes it.
bench_chain() {
    local chain=null layer
    while read -r layer; do
        chain=$(jq -nc --arg file "$KILN_HOME/regions/local/blobs/sha256/${layer#sha256:}" --argjson below "$chain" \
            '{driver: "qcow2", file: {driver: "file", filename: $file}, backing: $below}')
    done < <("$kiln" image show "$1" --json | jq -r '.ami.block_device_mappings[0].layers[].digest')
    echo "json:$chain"
}

case_snapshot_change() {
    local fill=${KILN_BENCH_FILL:-400} change exact_bytes bytes exact whole theirs
    snapshot_guest
    change=$((fill / 100 + 1))
    say "    $fill MiB of random data, then $change MiB of it again"
    in_guest sh -c "dd if=/dev/urandom of=/var/fill bs=1M count=$fill status=none && sync"
    measure "$kiln" instance snapshot "$guest" --name bench-change --version 1.0.0 --exact --wait --json
    in_guest sh -c "dd if=/dev/urandom of=/var/fill bs=1M count=$change conv=notrunc status=none && sync"
    measure "$kiln" instance snapshot "$guest" --name bench-change --version 1.0.1 --exact --json
    exact=$took exact_bytes=$(jq .new_layers_size "$work/output")
    measure qemu-img convert -c -m 8 -W -o compression_type=zstd -O qcow2 "$(bench_chain bench-change@1.0.1)" "$work/whole.qcow2"
    theirs=$took whole=$(stat -c %s "$work/whole.qcow2")
    rm "$work/whole.qcow2"
    measure "$kiln" instance snapshot "$guest" --name bench-change --version 1.0.2 --wait --json
    bytes=$(jq .new_layers_size "$work/output")
    row "snapshot (--exact) with 1 % of $fill MiB changed since the last, against \`qemu-img convert\` of the whole disk" \
        "$exact" "$theirs" "< 1/10" "$(meets "$(ratio_of "$exact" "$theirs")" 0.1)"
    row "the same: bytes stored, of $((whole / 1048576)) MiB" "$((exact_bytes / 1048576)) MiB" - "< 1/10" \
        "$(meets "$(ratio_of "$exact_bytes" "$whole")" 0.1)"
    row "and one that is scrubbed, with its drift recorded, $((bytes / 1048576)) MiB" "$took" "$theirs" "stated" yes
}
