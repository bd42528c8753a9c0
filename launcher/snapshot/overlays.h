// SPDX-License-Identifier: Apache-2.0
// Internal: the overlays that an instance writes to: over its AMI's layers, or those of a volume. At most times a disk
// has one or two: `disk0.qcow2`, and what was written since the last snapshot. A snapshot puts a fresh one on top, so
// that those below don't change any more and can be read at leisure; when nobody reads them, they are merged into the
// lowest.
//
// A record names an overlay before QEMU has it on top: it is empty until then, and changes nothing. The instance's
// record has those of disks that live and die with it, a volume's chain.json has its own.
#pragma once

#include "core/files.h"
#include "core/qmp_client.h"
#include "launcher/instance_store.h"

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

// A disk of an instance, as the records have it now.
struct OwnDisk {
    InstanceDisk disk;
    std::string node; // what its block nodes are called after (qemu_command.h)
};
// Those in the place of the AMI's devices, in their order, then the volumes beside them.
[[nodiscard]] std::vector<OwnDisk> own_disks(const Paths& home, const InstancePaths& paths);

// All overlays of a disk, bottom first.
[[nodiscard]] std::vector<std::filesystem::path> overlays_of(const InstanceDisk& disk);

// A fresh, empty overlay for each, in files that no disk has; what an earlier start left under their names is replaced.
// Throws Error{no_space, conflict}: so many snapshots are under way that no more fit.
[[nodiscard]] std::vector<std::filesystem::path> make_overlays(const std::vector<OwnDisk>& disks);

// Puts these on top on the records.
void push_overlays(const Paths& home, const InstancePaths& paths, std::vector<OwnDisk> disks,
                   const std::vector<std::filesystem::path>& tops);
// Makes the records say that these disks have these overlays.
void record_overlays(const Paths& home, const InstancePaths& paths, const std::vector<OwnDisk>& disks);

// Held by whoever reads overlays of these disks that are not the top, for as long as that takes. Throws
// Error{conflict} when they are being merged for too long, Error{interrupted}.
[[nodiscard]] std::vector<FileLock> lock_for_reading(const std::vector<OwnDisk>& disks, const std::stop_token& stop);
// By whoever changes those of a disk. Throws Error{conflict} when somebody reads them.
[[nodiscard]] FileLock lock_for_merging(const InstanceDisk& disk);

// Makes the records say what the running QEMU has, where a supervisor was killed between the two, and removes the
// files that neither knows. The caller is the only one who changes overlays.
void reconcile_overlays(const Paths& home, const InstancePaths& paths, QmpClient& qmp);

// The same of files alone, while no QEMU runs.
void remove_unknown_overlays(const std::vector<OwnDisk>& disks);

// Merges all but the top overlay of each disk into the lowest, unless somebody reads them. False when that left
// something to do, or `cancelled`. The guest runs on. `speed`: in bytes a second, at most. Throws Error{launch,
// no_space}; the disks are as they were then, or merged.
[[nodiscard]] bool merge_overlays(const Paths& home, const InstancePaths& paths, QmpClient& qmp, ByteSize speed,
                                  const std::function<bool()>& cancelled);

} // namespace kiln::launcher
