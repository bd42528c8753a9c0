#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of kind port and http see what a real guest does: listens, refuses, drops, answers; and they leave no forward.
# The guest reads its metadata; its network comes back when the helper is killed, and ends with the instance.
. "$(dirname "$0")/lib.sh"
need ss pgrep ssh jq

id=$("$kiln" run debian-12 --wait --quiet)
instances+=("$id")

say "servers in the guest"
"$kiln" instance exec "$id" -- sh -ec '
    cat >/run/answer <<"END"
#!/bin/sh
read -r method path version
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nfirst line\r\nhello from $path\r\n"
END
    systemd-run -q -p Type=exec systemd-socket-activate --inetd -a -l 80 /bin/sh /run/answer # /run is noexec
    systemd-run -q -p Type=exec systemd-socket-activate --inetd -a -l 82 /bin/true
    ip rule add ipproto tcp sport 83 blackhole' # what the guest answers from port 83 is lost
"$build/tests/network_checks" "$id" || fail "see above"

say "no forward is left"
pid=$(pgrep -f "serve-network $id")
for _ in $(seq 50); do
    forwards=$(ss -Hltnp "src 127.0.0.1" | grep -c "pid=$pid," || true)
    [ "$forwards" = 1 ] && break
    sleep 0.1
done
equals "$forwards" 1 # the one of ssh

# imds REQUEST: what the guest gets for it, by bash alone.
imds() {
    "$kiln" instance exec "$id" -- bash -c 'exec 3<>/dev/tcp/169.254.169.254/80
        printf "%b\r\nHost: imds\r\nConnection: close\r\n\r\n" "$1" >&3
        cat <&3' - "$1"
}
token() { imds 'PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60' | tail -n 1; }

say "metadata in the guest"
output=$(imds 'GET /latest/meta-data/instance-id HTTP/1.1')
contains "HTTP/1.1 401 "
output=$(imds "GET /latest/meta-data/instance-id HTTP/1.1\r\nX-aws-ec2-metadata-token: $(token)")
contains "HTTP/1.1 200 "
contains "$id"
expect 124 "$kiln" instance exec "$id" -- timeout 3 bash -c ': </dev/tcp/169.254.170.2/80'

say "a killed network helper is started again"
key=$("$kiln" instance show "$id" --json | jq -r .ssh_key)
port=$("$kiln" instance show "$id" --json | jq -r .ssh_port)
ssh_works() {
    equals "$(ssh -i "$key" -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR -o ConnectTimeout=60 root@127.0.0.1 id -un)" root
}
restarted() { # PID-BEFORE
    for _ in $(seq 100); do
        pid=$(pgrep -f "serve-network $id" || true)
        [ -n "$pid" ] && [ "$pid" != "$1" ] && ss -Hltn "sport = :$port" | grep -q . && return 0
        sleep 0.1
    done
    fail "no other helper came"
}
ssh_works
kill -KILL "$pid"
restarted "$pid"
ssh_works
output=$(imds "GET /latest/meta-data/ami-id HTTP/1.1\r\nX-aws-ec2-metadata-token: $(token)")
contains "ami-"

say "also when its supervisor was killed before"
before=$pid
kill -KILL "$(pgrep -f "supervise $id")"
kill -0 "$before" || fail "the helper died with its supervisor"
kill -KILL "$before"
expect 0 "$kiln" instance exec "$id" -- true
restarted "$before"
ssh_works

say "it ends with the instance"
"$kiln" instance terminate "$id"
nothing_runs "serve-network $id"
