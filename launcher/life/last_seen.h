// SPDX-License-Identifier: Apache-2.0
// Internal: when an instance whose end nobody wrote down was last seen running. While it runs its supervisor touches
// the event log every 15 s; QEMU writes its console and its disks. The newest of these times counts, and no time before
// the host's boot when that is another one than at the start.
#pragma once

#include "launcher/instance_store.h"

#include <chrono>

namespace kiln::launcher
{

inline constexpr std::chrono::seconds heartbeat{15};

[[nodiscard]] std::chrono::system_clock::time_point last_seen(const InstancePaths& paths, const Instance& instance);

} // namespace kiln::launcher
