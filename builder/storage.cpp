// SPDX-License-Identifier: Apache-2.0
#include "builder/storage.h"

#include "core/error.h"
#include "core/random.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace kiln::builder
{
namespace
{

using recipes::Filesystem;
using recipes::Volume;

// The key has 64 random bytes: stretching it would only cost each boot seconds.
constexpr std::string_view luks_options = "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000";
constexpr std::size_t luks_key_digits = 128;

bool is_root(const FilesystemPlace& place)
{
    return place.filesystem.mount == "/";
}

void make_filesystem(Appliance& appliance, const FilesystemPlace& place)
{
    appliance.make_filesystem(place.device, place.filesystem.type, place.filesystem.label);
}

void encrypt(Appliance& appliance, const Volume& volume, std::size_t disk)
{
    const std::string key_file = luks_key_file(volume);
    appliance.make_directories("/etc/cryptsetup-keys.d");
    appliance.set_mode("/etc/cryptsetup-keys.d", 0700);
    appliance.write_file(key_file, random_hex(luks_key_digits));
    appliance.set_mode(key_file, 0400);
    appliance.make_luks(appliance_disk(disk), key_file, std::string(luks_options));
    appliance.open_luks(appliance_disk(disk), key_file, luks_name(volume));
    const std::string old = appliance.exists("/etc/crypttab") ? appliance.read_file("/etc/crypttab") : std::string();
    appliance.write_file("/etc/crypttab", fmt::format("{}{} UUID={} {} luks,discard\n", old, luks_name(volume),
                                                      appliance.filesystem_uuid(appliance_disk(disk)), key_file));
}

void make_logical_volumes(Appliance& appliance, const Volume& volume, const std::string& device)
{
    appliance.make_volume_group(volume.volume_group, device);
    for (const recipes::VolumePart& part : volume.parts) {
        appliance.make_logical_volume(volume.volume_group, part.name, part.size);
    }
}

void make_ground(Appliance& appliance, const Volume& volume, std::size_t disk)
{
    if (volume.encrypted) { // not with partitions: the parser refuses that
        encrypt(appliance, volume, disk);
    }
    if (volume.layout == Volume::Layout::partitions) {
        appliance.make_gpt(appliance_disk(disk), data_partitions(volume));
    } else if (volume.layout == Volume::Layout::lvm) {
        make_logical_volumes(appliance, volume,
                             volume.encrypted ? "/dev/mapper/" + luks_name(volume) : appliance_disk(disk));
    }
}

// To what its partition or volume has by then. What is mounted read-only can't.
bool grows(const Filesystem& filesystem)
{
    const bool can = filesystem.type == "ext4" || filesystem.type == "xfs" || filesystem.type == "btrfs";
    return can && std::ranges::none_of(filesystem.options, [](const std::string& option) {
               return option == "ro" || option == "x-systemd.growfs";
           });
}

std::string options_of(const Filesystem& filesystem)
{
    std::vector<std::string> options = filesystem.options;
    if (options.empty()) {
        const bool ext4_root = filesystem.mount == "/" && filesystem.type == "ext4";
        options = {ext4_root ? "errors=remount-ro" : filesystem.type == "swap" ? "sw" : "defaults"};
    }
    if (grows(filesystem)) {
        options.emplace_back("x-systemd.growfs");
    }
    return fmt::format("{}", fmt::join(options, ","));
}

std::string fstab_line(Appliance& appliance, const FilesystemPlace& place)
{
    const Filesystem& filesystem = place.filesystem;
    const int pass = filesystem.type == "ext4" || filesystem.type == "vfat" ? (is_root(place) ? 1 : 2) : 0;
    return fmt::format("UUID={} {} {} {} 0 {}\n", appliance.filesystem_uuid(place.device),
                       filesystem.mount.empty() ? "none" : filesystem.mount, filesystem.type, options_of(filesystem),
                       pass);
}

void add_to_fstab(Appliance& appliance, const std::vector<FilesystemPlace>& places, bool anew)
{
    std::string fstab =
        anew || !appliance.exists("/etc/fstab") ? "# Written by Kiln.\n" : appliance.read_file("/etc/fstab");
    for (const FilesystemPlace& place : places) {
        fstab += fstab_line(appliance, place);
    }
    appliance.write_file("/etc/fstab", fstab);
}

// What the root has where the file system is going to be mounted, with the folder's own owner and mode.
void move_content(Appliance& appliance, const FilesystemPlace& place)
{
    const std::string& target = place.filesystem.mount;
    if (place.filesystem.type == "vfat" || !appliance.exists(target)) {
        appliance.make_directories(target);
        return;
    }
    const std::string meanwhile = "/.kiln-volume";
    appliance.make_directories(meanwhile);
    appliance.mount(place.device, meanwhile);
    appliance.run({"cp", "-a", "--", target + "/.", meanwhile});
    appliance.unmount(meanwhile);
    appliance.remove_recursively(meanwhile);
    appliance.remove_recursively(target);
    appliance.make_directories(target);
}

void open_grounds(Appliance& appliance, const recipes::Recipe& recipe, std::size_t first_disk)
{
    bool logical = false;
    for (std::size_t i = 0; i < recipe.volumes.size(); ++i) {
        const Volume& volume = recipe.volumes[i];
        if (volume.encrypted) {
            appliance.open_luks(appliance_disk(first_disk + i), luks_key_file(volume), luks_name(volume));
        }
        logical = logical || volume.layout == Volume::Layout::lvm;
    }
    if (logical) {
        appliance.activate_volume_groups();
    }
}

void mount_places(Appliance& appliance, const std::vector<FilesystemPlace>& places)
{
    for (const FilesystemPlace& place : places) {
        if (!is_root(place) && !place.filesystem.mount.empty()) {
            appliance.make_directories(place.filesystem.mount);
            appliance.mount(place.device, place.filesystem.mount);
        }
    }
}

} // namespace

Json storage_configuration()
{
    return {{"luks", luks_options}, {"format", 2}};
}

void create_root(Appliance& appliance, const recipes::Recipe& recipe, const StorageSite& site)
{
    if (site.first_disk > 0) {
        return;
    }
    const std::vector<Partition> partitions = root_partitions(recipe.root(), recipe.boot);
    appliance.make_gpt(appliance_disk(0), partitions);
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        const Filesystem& filesystem = partitions[i].filesystem;
        if (!filesystem.type.empty() && !(filesystem.mount == "/" && site.root_is_filled)) {
            make_filesystem(appliance, {appliance_partition(0, i + 1), filesystem});
        }
    }
}

void create_data(Appliance& appliance, const recipes::Recipe& recipe, const StorageSite& site)
{
    const std::size_t first_volume = site.first_disk == 0 ? 1 : 0;
    for (std::size_t i = first_volume; i < recipe.volumes.size(); ++i) {
        make_ground(appliance, recipe.volumes[i], site.first_disk + i);
    }
    std::set<std::string> made; // with the root
    if (site.first_disk == 0) {
        const std::vector<Partition> partitions = root_partitions(recipe.root(), recipe.boot);
        for (std::size_t i = 0; i < partitions.size(); ++i) {
            made.insert(appliance_partition(0, i + 1));
        }
    }
    const std::vector<FilesystemPlace> places = filesystem_places(recipe, site.first_disk);
    for (const FilesystemPlace& place : places) {
        if (!made.contains(place.device)) {
            make_filesystem(appliance, place);
        }
    }
    // The deepest first: what is below a mount point within another one moves there only once.
    for (const FilesystemPlace& place : std::vector(places.rbegin(), places.rend())) {
        if (!is_root(place) && !place.filesystem.mount.empty()) {
            move_content(appliance, place);
        }
    }
    add_to_fstab(appliance, places, site.first_disk == 0);
}

void mount_storage(Appliance& appliance, const recipes::Recipe& recipe)
{
    const std::vector<FilesystemPlace> places = filesystem_places(recipe);
    appliance.mount(std::ranges::find_if(places, is_root)->device, "/");
    open_grounds(appliance, recipe, 0);
    mount_places(appliance, places);
}

void mount_found_system(Appliance& appliance, const std::vector<Mountpoint>& system, const recipes::Recipe* recipe,
                        std::size_t first_disk)
{
    const std::vector<FilesystemPlace> places =
        recipe == nullptr ? std::vector<FilesystemPlace>{} : filesystem_places(*recipe, first_disk);
    const auto is_recipes = [&](const std::string& mount) {
        return std::ranges::any_of(places, [&](const auto& place) { return place.filesystem.mount == mount; });
    };
    for (const Mountpoint& found : system) {
        if (!is_recipes(found.mount)) {
            appliance.mount(found.device, found.mount);
        }
    }
    if (recipe != nullptr) {
        open_grounds(appliance, *recipe, first_disk);
        mount_places(appliance, places);
    }
}

std::vector<std::string> storage_packages(const recipes::Recipe& recipe)
{
    std::set<std::string> packages;
    for (const Volume& volume : recipe.volumes) {
        if (volume.encrypted) {
            packages.insert("cryptsetup-bin");
        }
        if (volume.layout == Volume::Layout::lvm) {
            packages.insert("lvm2");
        }
        for (const recipes::VolumePart& part : volume.parts) {
            if (part.filesystem.type == "xfs") {
                packages.insert("xfsprogs");
            } else if (part.filesystem.type == "btrfs") {
                packages.insert("btrfs-progs");
            } else if (part.filesystem.type == "vfat") {
                packages.insert("dosfstools");
            }
        }
    }
    return {packages.begin(), packages.end()};
}

} // namespace kiln::builder
