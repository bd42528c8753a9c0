// SPDX-License-Identifier: Apache-2.0
// Internal: whether something in the guest accepts TCP connections, seen from the host through a forward.
#pragma once

#include "core/json_socket.h"

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

// Connects until the guest itself has completed the handshake or the deadline has passed. libslirp accepts on the host
// at once and closes again when the guest refuses, so a connection proves nothing: what counts is that bytes
// came from the guest, or that `states` (PortForward::states) shows a state behind the handshake. Returns what was
// seen last instead, or nothing.
[[nodiscard]] std::string wait_for_port(std::uint16_t host_port,
                                        const std::function<std::vector<std::string>()>& states, Deadline deadline,
                                        const std::stop_token& stop);

} // namespace kiln::launcher
