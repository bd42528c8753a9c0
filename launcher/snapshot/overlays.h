// SPDX-License-Identifier: Apache-2.0
// Internal: an instance's own overlays over its AMI's layers. At most times there are one or two: `disk0.qcow2` and
// what was written since the last snapshot. A snapshot puts a fresh one on top, so that those below don't change any
// more and can be read at leisure; when nobody reads them, they are merged into the lowest.
//
// The record names an overlay before QEMU has it on top: it is empty until then, and changes nothing.
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

// All of them, bottom first.
[[nodiscard]] std::vector<std::filesystem::path> overlays_of(const InstanceDisk& disk);

// A fresh, empty overlay for each disk, in files that no disk of the instance has; what an earlier start left under
// their names is replaced. Throws Error{no_space, conflict}: so many snapshots are under way that no more fit.
[[nodiscard]] std::vector<std::filesystem::path> make_overlays(const InstancePaths& paths, const Instance& instance);

// The record with these on top.
void push_overlays(Instance& instance, const std::vector<std::filesystem::path>& tops);

// Held by whoever reads overlays that are not the top, for as long as that takes. Throws Error{conflict} when they are
// being merged for too long, Error{interrupted}.
[[nodiscard]] FileLock lock_for_reading(const InstancePaths& paths, const std::stop_token& stop);

// Whether there is something to merge.
[[nodiscard]] bool can_merge(const Instance& instance);

// Makes the record say what the running QEMU has, where a supervisor was killed between the two, and removes the files
// that neither knows. The caller is the only one who changes overlays.
Instance reconcile_overlays(const InstancePaths& paths, QmpClient& qmp);

// Merges all but the top overlay into the lowest, unless somebody reads them: false then. The guest runs on. `speed`:
// in bytes a second, at most. Throws Error{launch, no_space}; the disks are as they were then, or merged.
[[nodiscard]] bool merge_overlays(const InstancePaths& paths, QmpClient& qmp, ByteSize speed,
                                  const std::function<bool()>& cancelled);

} // namespace kiln::launcher
