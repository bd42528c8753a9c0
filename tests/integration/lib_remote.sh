# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced after lib.sh: a real docker-registry on a loopback port.
servers=()
at_end+=(stop_servers)
stop_servers() {
    local pid
    for pid in "${servers[@]}"; do
        kill -CONT "$pid" && kill "$pid"
    done 2>/dev/null || true
}

# serve NAME YAML...: a registry with its data in NAME/ and more configuration; sets $port and $server.
serve() {
    local name=$1
    shift
    for _ in $(seq 20); do
        port=$((RANDOM % 20000 + 20000))
        printf '%s\n' "version: 0.1" "log: {level: error, accesslog: {disabled: true}}" \
            "storage: {filesystem: {rootdirectory: $scratch/$name}}" "$@" \
            "http: {addr: '127.0.0.1:$port'${tls:-}}" >"$scratch/$name.yml"
        docker-registry serve "$scratch/$name.yml" >"$scratch/$name.log" 2>&1 &
        server=$!
        for _ in $(seq 100); do
            if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                kill -0 $server 2>/dev/null || break # somebody else's
                servers+=("$server")
                return
            fi
            kill -0 $server 2>/dev/null || break
            sleep 0.1
        done
    done
    fail "docker-registry does not start: $(cat "$scratch/$name.log")"
}
