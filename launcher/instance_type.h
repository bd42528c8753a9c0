// SPDX-License-Identifier: Apache-2.0
// Instance types, from the data file launcher/instance-types.json.
#pragma once

#include "core/byte_size.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct InstanceType {
    std::string name; // "t3.small"
    unsigned vcpus = 1;
    ByteSize memory;
};

// All types of the data file, smallest first. Throws Error{missing_tool, io}.
[[nodiscard]] std::vector<InstanceType> load_instance_types();

// Throws Error{not_found} with a near miss and the list of types.
[[nodiscard]] InstanceType find_instance_type(std::string_view name);

} // namespace kiln::launcher
