// SPDX-License-Identifier: Apache-2.0
// Internal: the moment of a snapshot, as the supervisor takes it.
#pragma once

#include "core/byte_size.h"
#include "launcher/snapshot/guest_freeze.h"
#include "launcher/snapshot/overlays.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::launcher
{

// What has stopped changing of a disk. Whoever reads it has lock_for_reading.
struct FrozenOverlays {
    std::string device;
    ByteSize size;
    std::vector<std::filesystem::path> overlays; // bottom first
};

struct PointInTime {
    Consistency consistency;
    std::vector<FrozenOverlays> disks; // in the order of those that were asked for
};

// Puts a fresh overlay on each of these disks that the guest has, in one QMP transaction, while the guest's file
// systems are frozen, where `freeze` says so. The guest runs on whatever happens, and nothing of what it writes depends
// on what becomes of the snapshot. `taken` is called as soon as the guest runs on, and its hooks for that run
// afterwards. One caller at a time. Throws Error{launch, no_space, conflict, interrupted}; the instance is as before
// then.
void take_point_in_time(const Paths& home, const InstancePaths& paths, std::vector<OwnDisk> disks, QmpClient& qmp,
                        GuestAgent& agent, bool freeze, const std::function<bool()>& cancelled,
                        const std::function<void(const PointInTime&)>& taken);

} // namespace kiln::launcher
