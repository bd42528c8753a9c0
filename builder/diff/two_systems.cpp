// SPDX-License-Identifier: Apache-2.0
#include "builder/diff/two_systems.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace
{

constexpr std::string_view disk_prefix = "/dev/sd";

[[noreturn]] void refuse(const std::string& why)
{
    throw Error(ErrorKind::step_failed, fmt::format("the two images can't be compared: {}", why));
}

// Moves mounts that seem to be on the other image's drives (first to first + count) to its own, at the same place.
void keep_apart(Appliance& appliance, std::vector<Mountpoint>& mounts, std::size_t first, std::size_t count,
                std::size_t others_first)
{
    for (Mountpoint& mount : mounts) {
        const auto drive = drive_of(mount.device);
        if (!drive) {
            refuse(fmt::format("{} is on {}, and logical or encrypted volumes of two images can't be open at once",
                               mount.mount, mount.device));
        }
        if (*drive >= first && *drive < first + count) {
            continue;
        }
        const std::size_t own = *drive - others_first + first;
        const std::string device = on_drive(mount.device, own);
        if (*drive < others_first || own >= first + count ||
            appliance.filesystem_uuid(device) != appliance.filesystem_uuid(mount.device)) {
            refuse(fmt::format("what is mounted at {} is not found on its own disks", mount.mount));
        }
        mount.device = device;
    }
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

std::string on_drive(const std::string& device, std::size_t drive)
{
    const std::size_t number = device.find_first_of("0123456789");
    const std::string partition = number == device.npos ? "" : device.substr(number);
    const auto letter = [](std::size_t i) { return static_cast<char>('a' + i); };
    const std::string letters =
        drive < 26 ? std::string(1, letter(drive)) : std::string{letter(drive / 26 - 1), letter(drive % 26)};
    return fmt::format("{}{}{}", disk_prefix, letters, partition);
}

TwoSystems find_two_systems(Appliance& appliance, std::size_t disks_before, std::size_t disks_after)
{
    TwoSystems found;
    for (std::vector<Mountpoint>& system : appliance.inspect_systems()) {
        const auto drive = drive_of(system.front().device);
        if (!drive) {
            refuse(
                fmt::format("a system is on {}, and logical or encrypted volumes of two images can't be open at once",
                            system.front().device));
        }
        std::vector<Mountpoint>& whose = *drive < disks_before ? found.before : found.after;
        if (!whose.empty()) {
            refuse("there are several operating systems on the disks of one");
        }
        whose = std::move(system);
    }
    if (found.before.empty() || found.after.empty()) {
        refuse(fmt::format("there is no operating system on the disks of the {} that libguestfs knows",
                           found.before.empty() ? "first" : "second"));
    }
    keep_apart(appliance, found.before, 0, disks_before, disks_before);
    keep_apart(appliance, found.after, disks_before, disks_after, 0);
    return found;
}

} // namespace kiln::builder
