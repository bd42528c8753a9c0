// SPDX-License-Identifier: Apache-2.0
// Internal: the moment of a snapshot, as the supervisor takes it.
#pragma once

#include "launcher/snapshot/guest_freeze.h"
#include "launcher/snapshot/overlays.h"

namespace kiln::launcher
{

struct PointInTime {
    Consistency consistency;
    // Of each disk of the instance, bottom first: what has stopped changing. Whoever reads them has lock_for_reading.
    std::vector<std::vector<std::filesystem::path>> overlays;
};

// Puts a fresh overlay on every disk in one QMP transaction, while the guest's file systems are frozen, where `freeze`
// says so. The guest runs on whatever happens, and nothing of what it writes depends on what becomes of the snapshot.
// One caller at a time. Throws Error{launch, no_space, conflict, interrupted}; the instance is as before then.
[[nodiscard]] PointInTime take_point_in_time(const InstancePaths& paths, QmpClient& qmp, GuestAgent& agent, bool freeze,
                                             const std::function<bool()>& cancelled);

} // namespace kiln::launcher
