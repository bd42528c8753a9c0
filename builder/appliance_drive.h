// SPDX-License-Identifier: Apache-2.0
// A disk for the appliance, which gets it from a block server and never opens a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace kiln::builder
{

// An NBD export on a UNIX socket.
struct ApplianceDrive {
    std::filesystem::path socket;
    std::string export_name;
};

// The disk's serial number: the guest's udev makes /dev/disk/guestfs/LABEL of it. libguestfs takes letters only.
[[nodiscard]] inline std::string label_of(std::size_t drive)
{
    return std::string("disk") + static_cast<char>('a' + drive);
}

// The name of a drive's disk or partition for programs that run in the appliance: its kernel names disks as it finds
// them, its own among them, and only libguestfs's calls know which is meant by "/dev/sdb1". Others stay as they are.
[[nodiscard]] inline std::string device_for_programs(const std::string& device)
{
    constexpr std::string_view prefix = "/dev/sd";
    if (!device.starts_with(prefix) || device.size() == prefix.size()) {
        return device;
    }
    const auto drive = static_cast<std::size_t>(device[prefix.size()] - 'a');
    return "/dev/disk/guestfs/" + label_of(drive) + device.substr(prefix.size() + 1);
}

} // namespace kiln::builder
