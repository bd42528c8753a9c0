// SPDX-License-Identifier: Apache-2.0
// A disk for the appliance, which gets it from a block server and never opens a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

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

} // namespace kiln::builder
