#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A data volume with a real guest. A postgres instance is terminated, its volume attached to a new one, the rows are
# there; a volume comes to a running guest, grows there, gives space back that is discarded, and is let go of.
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq
export APP_PASSWORD="canary-$RANDOM-$RANDOM-$RANDOM"
in_guest() { "$kiln" instance exec "$@"; }
used() { "$kiln" volume show "$1" --json | jq .used; }

say "build"
"$kiln" image show postgres >/dev/null 2>&1 || expect 0 "$kiln" build "$source_dir/recipes/library/postgres.toml"
"$kiln" keypair delete data-volume-test >/dev/null 2>&1 || true
"$kiln" keypair create data-volume-test --output "$scratch/key.pem" >/dev/null

say "rows are written, and the instance is terminated"
first=$("$kiln" run postgres --key data-volume-test --volume /dev/vdb=2GiB --wait --quiet)
instances+=("$first")
volume=$("$kiln" instance show "$first" --json | jq -r '.disks[] | select(.device == "/dev/vdb") | .volume_id')
psql() { in_guest "$1" -- su postgres -c "psql -tA app -c \"$2\""; }
expect 0 psql "$first" "CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 1000)"
expect 0 in_guest "$first" -- cat /root/.ssh/authorized_keys
contains "data-volume-test kiln-launch-key $first"
port=$("$kiln" instance show "$first" --json | jq .ssh_port)
expect 0 ssh -i "$scratch/key.pem" -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o IdentitiesOnly=yes root@127.0.0.1 true
expect 0 "$kiln" instance terminate "$first" --os-shutdown
equals "$("$kiln" volume show "$volume" --json | jq -r .state)" available

say "they are there on a new instance"
second=$("$kiln" run postgres --volume "/dev/vdb=$volume" --wait --quiet)
instances+=("$second")
expect 0 psql "$second" "SELECT sum(n) FROM t"
equals "$output" 500500

say "a volume comes to the running guest"
extra=$("$kiln" volume create --size 256MiB --json | jq -r .volume_id)
expect 0 "$kiln" volume attach "$extra" "$second"
disk=/dev/disk/by-id/virtio-vol${extra#vol-}
expect 0 in_guest "$second" -- sh -c "for i in \$(seq 600); do [ -e $disk ] && exit 0; sleep 0.1; done; exit 1"
expect 0 in_guest "$second" -- sh -c "mkfs.ext4 -qF $disk && mkdir -p /mnt/x && mount $disk /mnt/x"

say "it grows there"
expect 0 "$kiln" volume resize "$extra" 512MiB
expect 0 in_guest "$second" -- sh -c "for i in \$(seq 600); do [ \$(blockdev --getsize64 $disk) = $((512 << 20)) ] && exit 0; sleep 0.1; done; exit 1"
expect 0 in_guest "$second" -- resize2fs "$disk"

say "what is discarded takes no space on the host"
expect 0 in_guest "$second" -- sh -c "head -c 100M /dev/urandom >/mnt/x/junk && sync"
full=$(used "$extra")
[ "$full" -gt $((90 << 20)) ] || fail "only $full bytes are used"
expect 0 in_guest "$second" -- sh -c "rm /mnt/x/junk && sync && fstrim /mnt/x"
less=$(used "$extra")
[ "$less" -lt $((30 << 20)) ] || fail "$less bytes of $full are still used"
expect 0 in_guest "$second" -- sh -c "head -c 100M /dev/zero >/mnt/x/zeroes && sync"
[ "$(used "$extra")" -lt $((30 << 20)) ] || fail "zeroes take space"

say "the guest lets go of it, also of one that it had mounted"
expect 0 in_guest "$second" -- sh -c "echo kept >/mnt/x/file && umount /mnt/x"
expect 0 "$kiln" volume detach "$extra"
equals "$("$kiln" volume show "$extra" --json | jq -r .state)" available
expect 1 in_guest "$second" -- test -e "$disk"
expect 0 "$kiln" volume attach "$extra" "$second"
expect 0 in_guest "$second" -- sh -c "for i in \$(seq 600); do [ -e $disk ] && break; sleep 0.1; done; mount $disk /mnt/x && cat /mnt/x/file"
contains kept
expect 0 in_guest "$second" -- umount /mnt/x
expect 0 "$kiln" volume detach "$extra"

"$kiln" instance terminate "$second" >/dev/null
expect 0 "$kiln" volume delete "$volume" "$extra"
"$kiln" keypair delete data-volume-test >/dev/null
