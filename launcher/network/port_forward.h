// SPDX-License-Identifier: Apache-2.0
// Internal: a TCP port of the guest on a port of 127.0.0.1, for as long as somebody needs it: a rule that the
// supervisor has the network helper add while the instance runs.
#pragma once

#include "core/json_socket.h"
#include "core/paths.h"
#include "launcher/instance.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

// The supervisor removes the rule when this object goes, or its process.
class PortForward
{
public:
    PortForward(const Paths& paths, const Instance& instance, std::uint16_t guest_port, const std::stop_token& stop);
    [[nodiscard]] std::uint16_t host_port() const noexcept { return host_port_; }
    // The TCP states ("SYN_SENT", "ESTABLISHED", ...) of its connections. libslirp accepts on the host before the guest
    // has answered, so only the state tells whether the guest did.
    [[nodiscard]] std::vector<std::string> states(const std::stop_token& stop) const;

private:
    const Paths& paths_;
    std::string id_;
    std::uint16_t guest_port_;
    std::uint16_t host_port_ = 0;
    std::optional<JsonSocket> held_;
};

} // namespace kiln::launcher
