#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of kind port and http see what a real guest does: listens, refuses, drops, answers; and they leave no forward.
. "$(dirname "$0")/lib.sh"
need ss pgrep

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
pid=$(pgrep -f "guest=$id")
for _ in $(seq 50); do
    forwards=$(ss -Hltnp "src 127.0.0.1" | grep -c "pid=$pid," || true)
    [ "$forwards" = 1 ] && break
    sleep 0.1
done
equals "$forwards" 1 # the one of ssh
