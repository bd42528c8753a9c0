// SPDX-License-Identifier: Apache-2.0
// Volumes that are larger in an instance than in its AMI: `kiln run --volume /dev/vda=8GiB`.
#pragma once

#include "bundle/manifest.h"
#include "core/byte_size.h"

#include <map>
#include <string>
#include <vector>

namespace kiln::launcher
{

using VolumeSizes = std::map<std::string, ByteSize>; // by device

// Throws Error{usage} for a device that the AMI does not have, and a size that is smaller than the AMI's or no disk's.
void require_volume_sizes(const std::vector<bundle::BlockDeviceMapping>& mappings, const VolumeSizes& sizes);

// The wanted size, else the AMI's.
[[nodiscard]] ByteSize volume_size(const bundle::BlockDeviceMapping& mapping, const VolumeSizes& sizes);

} // namespace kiln::launcher
