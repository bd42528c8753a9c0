# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: snapshots of a running instance. KILN_BENCH_FILL is how many MiB of random data a disk gets
# (2000), KILN_BENCH_LOAD_SECONDS how long the write load is measured (20).

# A loop in the guest that writes 4 KiB and waits until they are on disk; prints how often in a second, and the longest gap.
# perl-base has no Time::HiRes: clock_gettime(CLOCK_MONOTONIC) and fsync by their numbers on x86_64.
snapshot_load='sub now { my $t = "\0" x 16; syscall(228, 1, $t); my ($s, $n) = unpack("qq", $t); $s + $n / 1e9 }
open(my $f, "+>", "/var/load") or die; my $begin = now; my ($n, $worst, $last) = (0, 0, $begin);
while ($last < $begin + $ARGV[0]) { sysseek($f, 4096 * ($n++ % 256), 0); syswrite($f, "x" x 4096);
syscall(74, fileno($f)) == 0 or die; my $now = now; $worst = $now - $last if $now - $last > $worst; $last = $now }
printf "{\"rate\": %.1f, \"worst_ms\": %.1f}\n", $n / $ARGV[0], $worst * 1000;'

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
    local alone alone_worst frozen guest=bench-pause
    measure "$kiln" run debian-12 --type t3.small --name bench-pause --wait --quiet
    load_while true
    alone=$rate alone_worst=$worst
    load_while measure "$kiln" instance snapshot bench-pause --name bench-pause --version 1.0.0 --json
    frozen=$(jq .frozen_ms "$work/output")
    say "    writes a second: $alone alone, $rate while it is snapshotted; longest gap: $alone_worst ms and $worst ms; frozen for $frozen ms"
    row "snapshot: the longest gap between writes that the guest saw, of $alone_worst ms without one; frozen for $frozen ms" \
        "$worst ms" - "< 100 ms" "$(meets "$worst" 100)"
    "$kiln" instance terminate bench-pause >/dev/null
    row "snapshot: what is left of the guest's synced writes meanwhile" \
        "$(awk -v a="$rate" -v b="$alone" 'BEGIN { printf "%.0f %%", 100 * a / b }')" - "stated" yes
}

# bench_chain AMI INDEX: one of its disks as qemu-img takes it.
bench_chain() {
    local chain=null layer
    while read -r layer; do
        chain=$(jq -nc --arg file "$KILN_HOME/regions/local/blobs/sha256/${layer#sha256:}" --argjson below "$chain" \
            '{driver: "qcow2", file: {driver: "file", filename: $file}, backing: $below}')
    done < <("$kiln" image show "$1" --json | jq -r ".ami.block_device_mappings[$2].layers[].digest")
    echo "json:$chain"
}
# convert_disks AMI: both of them, compressed like a layer; sets $took (both) and $whole (bytes).
convert_disks() {
    local i first
    for i in 0 1; do
        measure qemu-img convert -c -m 8 -W -o compression_type=zstd -O qcow2 "$(bench_chain "$1" $i)" "$work/whole$i.qcow2"
        [ $i = 1 ] || first=$took
    done
    took=$(awk -v a="$first" -v b="$took" 'BEGIN { print a + b }')
    whole=$(cat "$work"/whole?.qcow2 | wc -c)
    rm "$work"/whole?.qcow2
}

# An AMI whose second disk holds KILN_BENCH_FILL of data; an instance of it changes 1 %.
case_snapshot_change() {
    local fill=${KILN_BENCH_FILL:-2000} change exact_bytes exact whole again scrubbed guest
    change=$((fill / 100 + 1))
    say "    an AMI with $fill MiB of random data on a second disk"
    measure "$kiln" run debian-12 --type t3.small --name bench-filled --volume "/dev/vdb=$((fill + 256))MiB" --wait --quiet
    guest=bench-filled
    in_guest sh -c "dd if=/dev/urandom of=/dev/vdb bs=1M count=$fill status=none && sync"
    measure "$kiln" instance snapshot bench-filled --name bench-change --version 1.0.0 --exact --json
    "$kiln" instance terminate bench-filled >/dev/null
    sleep 3 # its layers are old enough then for the launch to note them as verified (docs/trust.md)
    measure "$kiln" run bench-change --type t3.small --name bench-changed --wait --quiet
    guest=bench-changed
    say "    $change MiB of it again, in an instance"
    in_guest sh -c "dd if=/dev/urandom of=/dev/vdb bs=1M count=$change conv=notrunc status=none && sync"
    measure "$kiln" instance snapshot bench-changed --name bench-change --version 1.0.1 --exact --json
    exact=$took exact_bytes=$(jq .new_layers_size "$work/output")
    sleep 5 # until the guest's writes meanwhile are merged
    in_guest sh -c "dd if=/dev/urandom of=/dev/vdb bs=1M count=$change conv=notrunc status=none && sync"
    measure "$kiln" instance snapshot bench-changed --name bench-change --version 1.0.2 --exact --json
    again=$took
    measure "$kiln" instance snapshot bench-changed --name bench-change --version 1.0.3 --json
    scrubbed=$took
    convert_disks bench-change@1.0.2
    row "snapshot (--exact) with 1 % of $fill MiB changed, against \`qemu-img convert\` of the whole disks" \
        "$exact" "$took" "< 1/10" "$(meets "$(ratio_of "$exact" "$took")" 0.1)"
    row "the same: bytes stored, of $((whole / 1048576)) MiB" "$((exact_bytes / 1048576)) MiB" - "< 1/10" \
        "$(meets "$(ratio_of "$exact_bytes" "$whole")" 0.1)"
    row "another one after another 1 %" "$again" "$took" "< 1/10" "$(meets "$(ratio_of "$again" "$took")" 0.1)"
    row "and one that is scrubbed, with its drift recorded" "$scrubbed" "$took" "stated" yes
    "$kiln" instance terminate bench-changed >/dev/null
}
