# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # variables of bench/run
# Sourced by bench/run: where the time from `kiln run` to a guest that is ready goes.

between() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f s", b - a }'; }

# boot_stages AMI: a row for each stage of one cold launch. The host's clock and the guest's uptime tell when its kernel
# began, systemd-analyze how long kernel and userspace took, /proc when QEMU was started.
boot_stages() {
    local ami=$1 verify begun ready id pid qemu kernel_began kernel userspace
    measure "$kiln" image verify "$ami"
    verify=$took
    measure "$kiln" run "$ami" --cold --wait --quiet
    ready=$(awk -v a="$begun" -v b="$took" 'BEGIN { printf "%.3f", a + b }')
    id=$(cat "$work/output")
    pid=$(pgrep -f "qemu-system-x86_64 .*guest=$id" | head -n 1)
    qemu=$(awk -v hertz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.2f", $20 / hertz }' "/proc/$pid/stat")
    qemu=$(awk -v since="$qemu" -v now="$EPOCHREALTIME" '{ printf "%.3f", now - $1 + since }' /proc/uptime)
    kernel_began=$("$kiln" instance exec "$id" -- cat /proc/uptime | awk -v now="$EPOCHREALTIME" '{ printf "%.3f", now - $1 }')
    read -r kernel userspace < <("$kiln" instance exec "$id" -- systemd-analyze time | sed -n 's/^Startup finished in //p' | awk '
        function seconds(text,   all, i, n, words) {
            n = split(text, words, " ")
            for (i = 1; i <= n; ++i)
                all += words[i] ~ /min$/ ? 60 * words[i] : words[i] ~ /ms$/ ? words[i] / 1000 : words[i] ~ /s$/ ? words[i] + 0 : 0
            return all
        }
        { n = split($0, parts, / *\+ */); for (i = 1; i <= n; ++i) { split(parts[i], last, / = /)
            if (last[1] ~ /kernel|initrd/) kernel += seconds(last[1]); if (last[1] ~ /userspace/) userspace = seconds(last[1]) } }
        END { print kernel, userspace }')
    "$kiln" instance terminate "$id" >/dev/null
    row "$ami: verify its layers, unchanged since they were read" "$verify s" - stated yes
    row "$ami: from the command to QEMU" "$(between "$begun" "$qemu")" - stated yes
    row "$ami: firmware and boot loader" "$(between "$qemu" "$kernel_began")" - stated yes
    row "$ami: kernel and initrd" "$kernel s" - stated yes
    row "$ami: userspace" "$userspace s" - stated yes
    row "$ami: from the last service to ready" \
        "$(between "$(awk -v a="$kernel_began" -v b="$kernel" -v c="$userspace" 'BEGIN { printf "%.3f", a + b + c }')" "$ready")" - stated yes
    row "$ami: in all" "$(between "$begun" "$ready")" - stated yes
}

case_boot_stages() {
    boot_stages debian-12
    "$kiln" image show debian-12-cloud >/dev/null 2>&1 || measure "$kiln" build "$source_dir/recipes/library/debian-12-cloud.toml"
    boot_stages debian-12-cloud
}
