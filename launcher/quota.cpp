// SPDX-License-Identifier: Apache-2.0
#include "launcher/quota.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

#include <fmt/format.h>

#include <string>

namespace kiln::launcher
{
namespace
{

struct Amounts {
    std::uint64_t instances = 0;
    std::uint64_t vcpus = 0;
    std::uint64_t memory = 0; // bytes
};

Amounts in_use(const Paths& paths)
{
    Amounts used;
    for (const Instance& instance : list_instances(paths)) {
        if (instance.state != InstanceState::stopped && instance.state != InstanceState::terminated) {
            ++used.instances;
            used.vcpus += instance.vcpus;
            used.memory += instance.memory.bytes();
        }
    }
    return used;
}

std::uint64_t limit_of(const Json& quotas, const std::string& key, const std::string& file)
{
    const auto bad = [&]() -> std::uint64_t {
        throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is no limit", file, printable(key, false)),
                    R"(an example: {"instances": 20, "vcpus": 16, "memory": "32 GiB"})");
    };
    const Json& value = quotas.at(key);
    if (key == "memory" && value.is_string()) {
        const auto size = parse_byte_size(value.get<std::string>());
        return size ? size->bytes() : bad();
    }
    return (key == "instances" || key == "vcpus") && value.is_number_unsigned() ? value.get<std::uint64_t>() : bad();
}

void require(const std::string& key, std::uint64_t limit, std::uint64_t used, std::uint64_t more,
             const std::string& file)
{
    if (used + more <= limit) {
        return;
    }
    const auto text = [&](std::uint64_t amount) {
        return key == "memory" ? to_string(ByteSize(amount)) : std::to_string(amount);
    };
    throw Error(ErrorKind::conflict,
                fmt::format("InstanceLimitExceeded: {} more would be above the quota of {} {}: {} in use", text(more),
                            text(limit), key == "memory" ? "of memory" : key, text(used)),
                fmt::format("stop or terminate instances, or raise it in {}", file));
}

} // namespace

void require_quota(const Paths& paths, unsigned vcpus, ByteSize memory, std::size_t count)
{
    const std::string file = paths.home / "quotas.json";
    if (!std::filesystem::exists(file)) {
        return;
    }
    const Json quotas = parse_json(read_file(file, mebibytes(1)), file);
    if (!quotas.is_object()) {
        throw Error(ErrorKind::io, fmt::format("{} is not an object", file));
    }
    const Amounts used = in_use(paths);
    for (const auto& [key, value] : quotas.items()) {
        const std::uint64_t limit = limit_of(quotas, key, file);
        if (key == "instances") {
            require(key, limit, used.instances, count, file);
        } else if (key == "vcpus") {
            require(key, limit, used.vcpus, count * vcpus, file);
        } else {
            require(key, limit, used.memory, count * memory.bytes(), file);
        }
    }
}

} // namespace kiln::launcher
