# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced after lib.sh: the AMI warm-tested, a child of debian-12 whose smoke test leaves a template of warm launches. Its
# tests pass on a t3.small and fail on a t3.nano, change something, and look whether the guest is what it was before it
# was saved.
build_warm_tested() {
    cat >"$scratch/warm-tested.toml" <<'EOF'
name = "warm-tested"
version = "1.0.x"
architecture = "x86_64"
[base]
ami = "debian-12@1.0.0"
[launch]
warm = true
[[test]]
name = "changes something"
run = "touch /etc/changed-by-a-test"
[[test]]
name = "has the memory of a t3.small"
run = "awk '/MemTotal/ { exit $2 < 1500000 }' /proc/meminfo"
[[test]]
name = "goes on as it was"
run = "test ! -e /run/kiln && test ! -e /sys/fs/cgroup/kiln-clone && systemctl is-system-running"
output = "running"
[[test]]
name = "is who it was"
run = "tr -d - </sys/class/dmi/id/product_uuid | cmp - /etc/machine-id"
[[test]]
console = 'login:'
EOF
    at_end+=(forget_warm_tested) # the home is that of the other tests too
    expect 0 "$kiln" build "$scratch/warm-tested.toml"
}
forget_warm_tested() { "$kiln" image deregister warm-tested >/dev/null; }
