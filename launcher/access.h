// SPDX-License-Identifier: Apache-2.0
// Ways into an instance that runs: forwarded ports, a picture of its screen. All throw Error{launch} when it does not.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <cstdint>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// Forwards a port of 127.0.0.1 (0: a free one) to the guest's until it is removed, also over stops and starts. Throws
// Error{conflict} for one that is forwarded already.
Forward add_port(const Paths& paths, const Instance& instance, std::uint16_t guest_port, std::uint16_t host_port,
                 const std::stop_token& stop);
// Throws Error{not_found} for a port that is not forwarded.
void remove_port(const Paths& paths, const Instance& instance, std::uint16_t host_port, const std::stop_token& stop);

// What the guest shows on its display, as PNG.
[[nodiscard]] std::string screenshot(const Paths& paths, const Instance& instance, const std::stop_token& stop);

} // namespace kiln::launcher
