// SPDX-License-Identifier: Apache-2.0
// Internal: the process behind a running VPC, `kiln-supervisor serve-vpc ID`, in a user namespace of its own. It holds
// the network namespace with bridge and rules, runs dnsmasq in it, gives each instance's network helper a tap, and is
// the way outward (libslirp, on the host's side). It comes with the first helper and ends with the last. All that it
// has is made anew from files by the next one when it is killed.
#pragma once

#include "core/background_process.h"
#include "core/json_socket.h"
#include "launcher/network/slirp_stack.h"
#include "launcher/vpc/network_namespace.h"
#include "launcher/vpc/ruleset.h"

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

namespace kiln::launcher
{

// The control socket's requests, a JSON object each:
//   {"request": "attach", "instance_id": "i-..."} -> {} with the tap's descriptor; for as long as the connection lasts
//   {"request": "reload"}                         -> {}; groups and records have changed
//   {"request": "members"}                        -> {"instances": ["i-..."]}
class VpcHolder
{
public:
    // Throws Error{launch, missing_tool, io} with what this host can't do.
    VpcHolder(const Paths& paths, Vpc vpc);
    ~VpcHolder();
    VpcHolder(const VpcHolder&) = delete;
    VpcHolder& operator=(const VpcHolder&) = delete;

    // Serves until the last instance has left, or none came within `patience`, or a stop.
    void run(const std::stop_token& stop, std::chrono::milliseconds patience);

private:
    struct Connection {
        JsonSocket socket;
        VpcMember member;
    };

    void answer(JsonSocket client);
    void attach(JsonSocket client, const std::string& instance_id);
    void apply();
    void take_frames();
    [[nodiscard]] VpcMember load_member(const std::string& instance_id) const;

    const Paths& paths_;
    Vpc vpc_;
    VpcPaths files_;
    NetworkNamespace namespace_;
    FileDescriptor uplink_;
    SlirpStack nat_;
    std::optional<BackgroundProcess> dnsmasq_;
    std::vector<Connection> connections_;
    FileDescriptor control_;
};

// What `kiln-supervisor serve-vpc ID` runs.
int serve_vpc(const Paths& paths, const std::string& id);

// Makes all of it for a VPC that is not there, and takes it away again. Throws with what this host can't do.
void try_vpc(const Paths& paths);

} // namespace kiln::launcher
