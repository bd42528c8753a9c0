// SPDX-License-Identifier: Apache-2.0
#include "launcher/volume_sizes.h"

#include "core/error.h"
#include "core/qcow2_header.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kiln::launcher
{

void require_volume_sizes(const std::vector<bundle::BlockDeviceMapping>& mappings, const VolumeSizes& sizes)
{
    for (const auto& [device, size] : sizes) {
        const auto mapping = std::ranges::find(mappings, device, &bundle::BlockDeviceMapping::device);
        if (mapping == mappings.end()) {
            std::vector<std::string> devices;
            std::ranges::transform(mappings, std::back_inserter(devices), &bundle::BlockDeviceMapping::device);
            throw Error(ErrorKind::usage, fmt::format("the AMI has no volume {}", printable(device, false)),
                        fmt::format("its volumes are {}", join(devices, ", ")));
        }
        if (size < mapping->size) {
            throw Error(ErrorKind::usage,
                        fmt::format("the AMI's volume {} has {}, and {} is smaller", device, to_string(mapping->size),
                                    to_string(size)),
                        "a volume can only grow");
        }
        if (size.bytes() % 512 != 0 || largest_foreign_disk < size) {
            throw Error(ErrorKind::usage, fmt::format("a volume can't have {}", to_string(size)),
                        fmt::format("use a multiple of 512 bytes, at most {}", to_string(largest_foreign_disk)));
        }
    }
}

ByteSize volume_size(const bundle::BlockDeviceMapping& mapping, const VolumeSizes& sizes)
{
    const auto wanted = sizes.find(mapping.device);
    return wanted == sizes.end() ? mapping.size : wanted->second;
}

} // namespace kiln::launcher
