// SPDX-License-Identifier: Apache-2.0
// Where things are on a disk that Kiln partitions: GPT, a BIOS boot partition for GRUB's core image,
// then the root file system up to the backup GPT. Sectors have 512 bytes.
#pragma once

#include "core/byte_size.h"

#include <cstdint>
#include <string_view>

namespace kiln::builder
{

inline constexpr std::uint64_t sector_size = 512;
inline constexpr std::uint64_t boot_first_sector = 2048; // 1 MiB
inline constexpr std::uint64_t boot_last_sector = 4095;
inline constexpr std::uint64_t root_first_sector = 4096; // 2 MiB
// UEFI specification 2.10, table 5.7, and the type that GRUB registered.
inline constexpr std::string_view bios_boot_type = "21686148-6449-6E6F-744E-656564454649";
inline constexpr std::string_view linux_root_type = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"; // x86-64 root

// libguestfs's names for the first disk that it is given and for its root partition.
inline constexpr std::string_view appliance_disk = "/dev/sda";
inline constexpr std::string_view root_partition_device = "/dev/sda2";

struct RootPartition {
    std::uint64_t first_sector;
    std::uint64_t last_sector;

    [[nodiscard]] constexpr ByteSize offset() const { return ByteSize(first_sector * sector_size); }
    [[nodiscard]] constexpr ByteSize size() const { return ByteSize((last_sector - first_sector + 1) * sector_size); }
};

// The last MiB of the disk stays free: it holds the backup GPT and keeps the partition aligned.
constexpr RootPartition root_partition(ByteSize disk)
{
    return {root_first_sector, disk.bytes() / sector_size - 2048 - 1};
}

} // namespace kiln::builder
