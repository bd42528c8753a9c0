// SPDX-License-Identifier: Apache-2.0
// Internal: a TCP port of the guest on a port of 127.0.0.1, for as long as somebody needs it: a rule that is
// added to the instance's own network (QEMU's user network, libslirp) while it runs.
#pragma once

#include "core/paths.h"
#include "core/qmp_client.h"
#include "launcher/instance.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

// The supervisor's side. QEMU has these only as commands for people, whose answers are texts.
// Each throws Error{launch} with QEMU's words.
[[nodiscard]] std::uint16_t add_forward(QmpClient& qmp, std::uint16_t guest_port); // returns the host's port
void remove_forward(QmpClient& qmp, std::uint16_t host_port);
// The TCP states ("SYN_SENT", "ESTABLISHED", ...) of the connections from that host port to that guest port. libslirp
// accepts on the host before the guest has answered, so only the state tells whether the guest did.
[[nodiscard]] std::vector<std::string> connection_states(QmpClient& qmp, std::uint16_t host_port,
                                                         std::uint16_t guest_port);

// The commands' side. The supervisor removes the rule when this object goes, or its process.
class PortForward
{
public:
    PortForward(const Paths& paths, const Instance& instance, std::uint16_t guest_port, const std::stop_token& stop);
    [[nodiscard]] std::uint16_t host_port() const noexcept { return host_port_; }
    [[nodiscard]] std::vector<std::string> states(const std::stop_token& stop) const;

private:
    const Paths& paths_;
    std::string id_;
    std::uint16_t guest_port_;
    std::uint16_t host_port_ = 0;
    std::optional<JsonSocket> held_;
};

} // namespace kiln::launcher
