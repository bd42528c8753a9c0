// SPDX-License-Identifier: Apache-2.0
// The system on disks that Kiln finds made: an AMI's, a snapshot's, somebody else's. What is on logical volumes, or on
// volumes that Kiln encrypted, belongs to it.
#pragma once

#include "builder/appliance.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// A line of crypttab(5) as Kiln writes it for a volume whose key is in the root file system.
struct KeptKey {
    std::string name; // of the opened device
    std::string uuid; // of the LUKS header
    std::string key_file;
};

// Those lines of a crypttab that say what Kiln's say, in their order; a guest may have written anything. Pure.
[[nodiscard]] std::vector<KeptKey> kept_keys(std::string_view crypttab);

// What the one system mounts where, "/" first, with logical volumes active and encrypted volumes open. Nothing may be
// mounted; nothing is afterwards. Throws Error{step_failed} when there is no system, or more than one.
[[nodiscard]] std::vector<Mountpoint> find_whole_system(Appliance& appliance);

// The same among these file systems alone, and only where all of it is on plain partitions and disks: nothing is
// activated or opened. nullopt otherwise, or when there is no system, or more than one.
[[nodiscard]] std::optional<std::vector<Mountpoint>> find_plain_system(Appliance& appliance,
                                                                       const std::vector<FoundFilesystem>& filesystems);

} // namespace kiln::builder
