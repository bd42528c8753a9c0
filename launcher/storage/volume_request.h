// SPDX-License-Identifier: Apache-2.0
// What `kiln run --volume` asks for: the AMI's volumes larger or other ones in their place, and volumes beside them.
#pragma once

#include "bundle/manifest.h"
#include "core/byte_size.h"
#include "core/paths.h"
#include "launcher/storage/volume.h"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct VolumeRequest {
    std::optional<ByteSize> size{};      // of the AMI's volume, or of a new one
    std::optional<std::string> volume{}; // one that exists, by id or name
    std::optional<bool> delete_on_termination{};
};
using VolumeRequests = std::map<std::string, VolumeRequest>; // by device

// "DEVICE=SIZE", "DEVICE=VOLUME", "DEVICE=", each perhaps with ",delete-on-termination=yes" (or no) behind it. Throws
// Error{usage}, also for a device that comes twice.
[[nodiscard]] VolumeRequests parse_volume_requests(const std::vector<std::string>& texts);

// Throws Error{usage} for a size that is smaller than the AMI's or no disk's, a device that is neither one of the AMI's
// nor one for a volume, and one whose letter is taken.
void require_volume_requests(const std::vector<bundle::BlockDeviceMapping>& mappings, const VolumeRequests& requests);

// A volume for a launch that has not begun.
struct PlannedVolume {
    Volume volume;                             // with its attachment, but for the instance's id
    std::vector<std::filesystem::path> layers; // of the AMI, to be copied
    bool is_new = false;
};

// What an instance gets beside `disks`, which live and die with it: those of the AMI's volumes that are to outlive it,
// those that take the place of one, and those beside. Throws Error{not_found} for a volume that does not exist.
struct PlannedStorage {
    std::vector<InstanceDisk> disks; // without overlays
    std::vector<PlannedVolume> volumes;
};
using LayersOf = std::function<std::vector<std::filesystem::path>(const bundle::BlockDeviceMapping& mapping)>;
[[nodiscard]] PlannedStorage plan_storage(const Paths& paths, const std::vector<bundle::BlockDeviceMapping>& mappings,
                                          const VolumeRequests& requests, const LayersOf& layers_of);

} // namespace kiln::launcher
