// SPDX-License-Identifier: Apache-2.0
// Internal: the point-in-time copy of a running instance's disks, as the supervisor takes it.
#pragma once

#include "core/qmp_client.h"
#include "launcher/guest.h"
#include "launcher/guest_agent.h"

#include <functional>

namespace kiln::launcher
{

// See copy_disks in guest.h. `cancelled` is asked while the copies run.
[[nodiscard]] DiskCopies copy_running_disks(const Instance& instance, const std::filesystem::path& into, QmpClient& qmp,
                                            GuestAgent& agent, const std::function<bool()>& cancelled);

} // namespace kiln::launcher
