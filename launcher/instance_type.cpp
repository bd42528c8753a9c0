// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance_type.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/paths.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{

std::vector<InstanceType> load_instance_types()
{
    const std::string file = find_data_file("instance-types.json").native();
    const Json document = parse_json(read_file(file), file);
    std::vector<InstanceType> types;
    for (const Json& entry : member(document, "types", file)) {
        const auto memory = parse_byte_size(string_member(entry, "memory", file));
        const std::int64_t vcpus = integer_member(entry, "vcpus", file);
        if (!memory || vcpus < 1 || vcpus > 1024) {
            throw Error(ErrorKind::io, fmt::format("{} has an instance type that makes no sense", file));
        }
        types.push_back({string_member(entry, "name", file), static_cast<unsigned>(vcpus), *memory});
    }
    std::ranges::stable_sort(types, {}, &InstanceType::memory);
    return types;
}

InstanceType find_instance_type(std::string_view name)
{
    const std::vector<InstanceType> types = load_instance_types();
    const auto found = std::ranges::find(types, name, &InstanceType::name);
    if (found != types.end()) {
        return *found;
    }
    std::vector<std::string> names;
    std::vector<std::string_view> views;
    std::ranges::transform(types, std::back_inserter(names), &InstanceType::name);
    std::ranges::copy(names, std::back_inserter(views));
    const auto meant = near_miss(name, views);
    throw Error(ErrorKind::not_found, fmt::format("there is no instance type {}", printable(name, false)),
                fmt::format("{}the types are {}", meant ? "did you mean " + *meant + "? " : "", join(names, ", ")));
}

InstanceType choose_instance_type(const std::optional<std::string>& asked, const bundle::LaunchDefaults& launch)
{
    const ByteSize needed = launch.minimum_memory.value_or(ByteSize());
    const std::vector<InstanceType> types = load_instance_types(); // smallest first
    const auto enough = std::ranges::find_if(types, [&](const InstanceType& type) { return needed <= type.memory; });
    if (enough == types.end()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the AMI needs {} of memory, and no instance type has that", to_string(needed)),
                    types.empty()
                        ? ""
                        : fmt::format("the largest is {} with {}", types.back().name, to_string(types.back().memory)));
    }
    const std::optional<std::string>& named = asked ? asked : launch.instance_type;
    InstanceType type = find_instance_type(named.value_or("t3.small"));
    if (needed <= type.memory) {
        return type;
    }
    if (!named) {
        return *enough;
    }
    throw Error(ErrorKind::usage,
                fmt::format("a {} has {} of memory, and the AMI needs {}", type.name, to_string(type.memory),
                            to_string(needed)),
                fmt::format("use --type {}", enough->name));
}

} // namespace kiln::launcher
