// SPDX-License-Identifier: Apache-2.0
#include "builder/disk_layout.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace
{

using recipes::Filesystem;
using recipes::Volume;

// UEFI specification 2.10, table 5.7; the one that GRUB registered; and those of the Discoverable Partitions
// Specification.
constexpr std::string_view bios_boot_type = "21686148-6449-6E6F-744E-656564454649";
constexpr std::string_view efi_system_type = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
constexpr std::string_view linux_root_type = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"; // x86-64
constexpr std::string_view linux_data_type = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
constexpr std::string_view swap_type = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F";

constexpr std::uint64_t sectors_per_mebibyte = mebibytes(1).bytes() / sector_size;
constexpr ByteSize efi_system_size = mebibytes(64);

// Lays partitions one after the other between the GPT and its backup, the last MiB of the disk.
class Table
{
public:
    explicit Table(const Volume& volume) : volume_(volume), end_(volume.size.bytes() / sector_size) {}

    void add(Partition partition, std::optional<ByteSize> size)
    {
        const std::uint64_t limit = end_ - sectors_per_mebibyte;
        const std::uint64_t sectors = size ? (size->bytes() / sector_size + sectors_per_mebibyte - 1) /
                                                 sectors_per_mebibyte * sectors_per_mebibyte
                                           : limit - std::min(next_, limit);
        if (sectors == 0 || next_ + sectors > limit) {
            throw Error(ErrorKind::recipe,
                        fmt::format("the volume {} of {} has no room for its partition {}", volume_.device,
                                    to_string(volume_.size), partition.name),
                        "raise storage.size, or make the partitions smaller");
        }
        partition.first_sector = next_;
        partition.last_sector = next_ + sectors - 1;
        next_ += sectors;
        partitions_.push_back(std::move(partition));
    }
    std::vector<Partition> take() { return std::move(partitions_); }

private:
    const Volume& volume_;
    std::uint64_t end_;
    std::uint64_t next_ = sectors_per_mebibyte;
    std::vector<Partition> partitions_;
};

void add_parts(Table& table, const Volume& volume)
{
    for (const recipes::VolumePart& part : volume.parts) {
        const Filesystem& filesystem = part.filesystem;
        const std::string_view type = filesystem.mount == "/"     ? linux_root_type
                                      : filesystem.type == "swap" ? swap_type
                                                                  : linux_data_type;
        const std::string name = !part.name.empty()        ? part.name
                                 : filesystem.mount == "/" ? std::string("root")
                                                           : filesystem.type;
        table.add({.name = name, .gpt_type = type, .filesystem = filesystem}, part.size);
    }
}

// What all of a volume, or each of its partitions, is on.
std::string ground_of(const Volume& volume, std::size_t disk)
{
    return volume.encrypted ? "/dev/mapper/" + luks_name(volume) : appliance_disk(disk);
}

std::string part_device(const Volume& volume, std::size_t disk, std::size_t part, bool root, std::size_t before)
{
    if (!root && volume.layout == Volume::Layout::whole) {
        return ground_of(volume, disk);
    }
    if (!root && volume.layout == Volume::Layout::lvm) {
        return fmt::format("/dev/{}/{}", volume.volume_group, volume.parts[part].name);
    }
    return appliance_partition(disk, before + part + 1);
}

} // namespace

std::vector<Partition> root_partitions(const Volume& volume, const recipes::Boot& boot)
{
    Table table(volume);
    if (boot.firmware == "uefi") {
        table.add({.name = "esp",
                   .gpt_type = efi_system_type,
                   .filesystem = {.type = "vfat", .mount = "/boot/efi", .options = {"umask=0077"}, .label = "ESP"},
                   .boot = true},
                  efi_system_size);
    } else {
        table.add({.name = "bios-boot", .gpt_type = bios_boot_type, .boot = true}, mebibytes(1));
    }
    add_parts(table, volume);
    return table.take();
}

std::vector<Partition> data_partitions(const Volume& volume)
{
    Table table(volume);
    add_parts(table, volume);
    return table.take();
}

std::string appliance_disk(std::size_t disk)
{
    return std::string("/dev/sd") + static_cast<char>('a' + disk);
}

std::string appliance_partition(std::size_t disk, std::size_t partition)
{
    return fmt::format("{}{}", appliance_disk(disk), partition);
}

std::string luks_name(const Volume& volume)
{
    return volume.device.substr(volume.device.rfind('/') + 1) + "_crypt";
}

std::string luks_key_file(const Volume& volume)
{
    return "/etc/cryptsetup-keys.d/" + luks_name(volume) + ".key";
}

std::vector<FilesystemPlace> filesystem_places(const recipes::Recipe& recipe, std::size_t first_disk)
{
    std::vector<FilesystemPlace> places;
    for (std::size_t i = 0; i < recipe.volumes.size(); ++i) {
        const Volume& volume = recipe.volumes[i];
        const std::size_t disk = first_disk + i;
        const bool root = disk == 0;
        if (root && recipe.boot.firmware == "uefi") {
            places.push_back({appliance_partition(0, 1), root_partitions(volume, recipe.boot).front().filesystem});
        }
        for (std::size_t part = 0; part < volume.parts.size(); ++part) {
            places.push_back({part_device(volume, disk, part, root, root ? 1 : 0), volume.parts[part].filesystem});
        }
    }
    // A mount point comes after those above it; swap has none and comes last.
    std::ranges::stable_sort(places, [](const FilesystemPlace& left, const FilesystemPlace& right) {
        const auto& a = left.filesystem.mount;
        const auto& b = right.filesystem.mount;
        return a.empty() != b.empty() ? b.empty() : a < b;
    });
    return places;
}

} // namespace kiln::builder
