// SPDX-License-Identifier: Apache-2.0
// What somebody who reads of a failed launch or test wants to see of the guest.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <cstddef>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// The console's last lines, printable. Never throws an Error.
[[nodiscard]] std::string console_tail(const InstancePaths& files, std::size_t lines);

// The units that failed, where the guest can still tell, and the console's last lines; printable, ends with a
// newline. Throws only Error{interrupted}.
[[nodiscard]] std::string diagnose(const Paths& paths, const Instance& instance, const std::stop_token& stop);

} // namespace kiln::launcher
