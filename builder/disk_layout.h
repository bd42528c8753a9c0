// SPDX-License-Identifier: Apache-2.0
// Where things are on the disks that Kiln partitions. The root disk: GPT, what the firmware needs (a BIOS boot
// partition for GRUB's core image, or an EFI system partition), the recipe's own partitions, the root file
// system last, so that it can grow. Sectors have 512 bytes; partitions are aligned to 1 MiB. Pure.
#pragma once

#include "core/byte_size.h"
#include "recipes/recipe.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

inline constexpr std::uint64_t sector_size = 512;

struct Partition {
    std::string name;
    std::string_view gpt_type;
    std::uint64_t first_sector = 0;
    std::uint64_t last_sector = 0;
    recipes::Filesystem filesystem{}; // no type: none is made
    bool boot = false;                // the firmware's, not one of the recipe's

    [[nodiscard]] ByteSize offset() const { return ByteSize(first_sector * sector_size); }
    [[nodiscard]] ByteSize size() const { return ByteSize((last_sector - first_sector + 1) * sector_size); }
};

// The partitions of the root volume, the root file system's last.
[[nodiscard]] std::vector<Partition> root_partitions(const recipes::Volume& volume, const recipes::Boot& boot);
// Those of another volume with Layout::partitions.
[[nodiscard]] std::vector<Partition> data_partitions(const recipes::Volume& volume);
// Both throw Error{recipe} when the volume has no room for them.

// A file system and the name that the appliance has for what it is on.
struct FilesystemPlace {
    std::string device; // "/dev/sda2", "/dev/data/lv", "/dev/mapper/vdb_crypt"
    recipes::Filesystem filesystem;
};

// The appliance's name of a disk: "/dev/sda" for the first one.
[[nodiscard]] std::string appliance_disk(std::size_t disk);
[[nodiscard]] std::string appliance_partition(std::size_t disk, std::size_t partition);

// LUKS2: the name of the opened device, in the guest too ("vdb_crypt"), and its key file in the guest's root.
[[nodiscard]] std::string luks_name(const recipes::Volume& volume);
[[nodiscard]] std::string luks_key_file(const recipes::Volume& volume);

// All file systems of the recipe's volumes that have a place, the root first, then by mount point, then swap.
// Those in `first_disk` order: disk `first_disk` is the first of `volumes`.
[[nodiscard]] std::vector<FilesystemPlace> filesystem_places(const recipes::Recipe& recipe, std::size_t first_disk = 0);

} // namespace kiln::builder
