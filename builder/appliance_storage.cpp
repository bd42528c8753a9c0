// SPDX-License-Identifier: Apache-2.0
// The appliance's calls for file systems, LUKS and LVM.
#include "builder/appliance_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{

void Appliance::make_filesystem(const std::string& device, const std::string& type, const std::string& label)
{
    const std::string doing = fmt::format("making a file system of type {} on {}", type, device);
    if (type == "swap") {
        struct guestfs_mkswap_opts_argv arguments {
        };
        if (!label.empty()) {
            arguments.bitmask = GUESTFS_MKSWAP_OPTS_LABEL_BITMASK;
            arguments.label = label.c_str();
        }
        state_->check(guestfs_mkswap_opts_argv(state_->get(), device.c_str(), &arguments), doing);
        return;
    }
    struct guestfs_mkfs_opts_argv arguments {
    };
    if (!label.empty()) {
        arguments.bitmask = GUESTFS_MKFS_OPTS_LABEL_BITMASK;
        arguments.label = label.c_str();
    }
    state_->check(guestfs_mkfs_opts_argv(state_->get(), type.c_str(), device.c_str(), &arguments), doing);
}

std::string Appliance::filesystem_uuid(const std::string& device)
{
    const String uuid(guestfs_vfs_uuid(state_->get(), device.c_str()));
    if (!uuid) {
        state_->fail(ErrorKind::step_failed, fmt::format("reading the UUID of {}", device));
    }
    return uuid.get();
}

std::string Appliance::filesystem_type(const std::string& device)
{
    const String type(guestfs_vfs_type(state_->get(), device.c_str()));
    if (!type) {
        state_->fail(ErrorKind::step_failed, fmt::format("reading the file system of {}", device));
    }
    return printable(type.get(), false);
}

void Appliance::make_luks(const std::string& device, const std::string& key_file, const std::string& options)
{
    state_->run_outside(fmt::format("cryptsetup -q luksFormat {} --key-file /sysroot{} {}", options, key_file,
                                    device_for_programs(device)),
                        fmt::format("encrypting {}", device));
}

void Appliance::open_luks(const std::string& device, const std::string& key_file, const std::string& name)
{
    // Open already, when the appliance has gone on since.
    state_->run_outside(
        fmt::format(
            "[ -e /dev/mapper/{2} ] || cryptsetup open --type luks --allow-discards --key-file /sysroot{0} {1} {2}",
            key_file, device_for_programs(device), name),
        fmt::format("opening the encrypted {}", device));
}

void Appliance::make_volume_group(const std::string& name, const std::string& device)
{
    state_->check(guestfs_pvcreate(state_->get(), device.c_str()), fmt::format("preparing {} for LVM", device));
    char* devices[] = {const_cast<char*>(device.c_str()), nullptr};
    state_->check(guestfs_vgcreate(state_->get(), name.c_str(), devices),
                  fmt::format("making the volume group {}", name));
}

void Appliance::make_logical_volume(const std::string& group, const std::string& name, std::optional<ByteSize> size)
{
    const int result =
        size ? guestfs_lvcreate(state_->get(), name.c_str(), group.c_str(), static_cast<int>(size->bytes() >> 20U))
             : guestfs_lvcreate_free(state_->get(), name.c_str(), group.c_str(), 100);
    state_->check(result, fmt::format("making the logical volume {} of {}", name, group));
}

void Appliance::activate_volume_groups()
{
    state_->check(guestfs_lvm_scan(state_->get(), 1), "looking for logical volumes");
}

std::vector<FoundFilesystem> Appliance::filesystems()
{
    std::vector<std::string> devices =
        state_->strings(guestfs_list_partitions(state_->get()), "looking for partitions");
    const std::vector<std::string> partitions = devices;
    for (std::size_t i = 0; i < state_->drives; ++i) { // guestfs_list_devices() would wait for udev once more
        const std::string disk = appliance_disk(i);
        const auto is_on_it = [&](const std::string& partition) { // "/dev/sda1", not "/dev/sdaa1"
            return partition.starts_with(disk) && partition.find_first_not_of("0123456789", disk.size()) == disk.npos;
        };
        if (std::ranges::none_of(partitions, is_on_it)) {
            devices.push_back(disk);
        }
    }
    std::vector<FoundFilesystem> found;
    found.reserve(devices.size());
    for (const std::string& device : devices) {
        found.push_back(filesystem_on(device));
    }
    return found;
}

FoundFilesystem Appliance::filesystem_on(const std::string& device)
{
    const std::vector<std::string> words =
        state_->strings(guestfs_blkid(state_->get(), device.c_str()), fmt::format("asking what is on {}", device));
    const auto value = [&](std::string_view key) {
        for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
            if (words[i] == key) {
                return words[i + 1];
            }
        }
        return std::string();
    };
    return {.device = device, .type = value("TYPE"), .uuid = value("UUID"), .label = value("LABEL")};
}

std::vector<Mountpoint> Appliance::inspect_system()
{
    const StringList roots(guestfs_inspect_os(state_->get()));
    if (!roots) {
        state_->fail(ErrorKind::step_failed, "looking for an operating system");
    }
    if (roots.get()[0] == nullptr || roots.get()[1] != nullptr) {
        throw Error(ErrorKind::step_failed,
                    roots.get()[0] == nullptr ? "there is no operating system on the disks that libguestfs knows"
                                              : "there are several operating systems on the disks",
                    "Kiln needs exactly one");
    }
    const StringList list(guestfs_inspect_get_mountpoints(state_->get(), roots.get()[0]));
    if (!list) {
        state_->fail(ErrorKind::step_failed, "asking what the system mounts");
    }
    std::vector<Mountpoint> mounts;
    for (char** entry = list.get(); entry[0] != nullptr && entry[1] != nullptr; entry += 2) {
        mounts.push_back({entry[0], entry[1]});
    }
    std::ranges::sort(mounts, {}, &Mountpoint::mount);
    return mounts;
}

} // namespace kiln::builder
