// SPDX-License-Identifier: Apache-2.0
// What a guest's fstab(5) mounts where, as far as that can be told from the file systems' own ids. The file is the
// guest's and hostile.
#pragma once

#include "builder/appliance.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// "/" first, then by mount point; nothing for swap, memory and the network. nullopt when a line can't be told from
// `filesystems`: it names a device by a path, by an id that none or several of them have, or a place that is no plain
// absolute path. Pure.
[[nodiscard]] std::optional<std::vector<Mountpoint>> mounts_of(std::string_view fstab, const std::string& root_device,
                                                               const std::vector<FoundFilesystem>& filesystems);

} // namespace kiln::builder
