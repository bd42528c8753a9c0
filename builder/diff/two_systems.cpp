// SPDX-License-Identifier: Apache-2.0
#include "builder/diff/two_systems.h"

#include "builder/found_system.h"
#include "core/error.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace kiln::builder
{
namespace
{

constexpr std::string_view disk_prefix = "/dev/sd";

std::vector<Mountpoint> find_one(Appliance& appliance, const std::vector<FoundFilesystem>& filesystems,
                                 std::string_view which)
{
    auto found = find_plain_system(appliance, filesystems);
    if (!found) {
        throw Error(
            ErrorKind::step_failed,
            fmt::format("the two images can't be compared: the disks of the {} have no system on plain partitions, "
                        "or more than one",
                        which),
            "logical and encrypted volumes of two images of one lineage can't be open at once");
    }
    return *std::move(found);
}

} // namespace

std::optional<std::size_t> drive_of(const std::string& device)
{
    if (!device.starts_with(disk_prefix)) {
        return std::nullopt;
    }
    std::size_t drive = 0;
    std::size_t letters = 0;
    for (const char c : device.substr(disk_prefix.size())) {
        if (c < 'a' || c > 'z') {
            break;
        }
        drive = drive * 26 + static_cast<std::size_t>(c - 'a') + (letters++ > 0 ? 26 : 0);
    }
    return letters == 0 || letters > 2 ? std::nullopt : std::optional(drive);
}

TwoSystems find_two_systems(Appliance& appliance, std::size_t disks_before)
{
    std::vector<FoundFilesystem> before;
    std::vector<FoundFilesystem> after;
    for (FoundFilesystem& one : appliance.filesystems()) {
        const bool is_first = drive_of(one.device).value_or(disks_before) < disks_before;
        (is_first ? before : after).push_back(std::move(one));
    }
    return {.before = find_one(appliance, before, "first"), .after = find_one(appliance, after, "second")};
}

} // namespace kiln::builder
