// SPDX-License-Identifier: Apache-2.0
// Instance types, from the data file launcher/instance-types.json.
#pragma once

#include "bundle/manifest.h"
#include "core/byte_size.h"

#include <optional>
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

// What a launch takes: the type asked for, else the AMI's own, else a t3.small, else the smallest that has the memory
// that the AMI needs. Throws Error{usage} for a type with less than that, {not_found} for one that does not exist.
[[nodiscard]] InstanceType choose_instance_type(const std::optional<std::string>& asked,
                                                const bundle::LaunchDefaults& launch);

} // namespace kiln::launcher
