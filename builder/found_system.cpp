// SPDX-License-Identifier: Apache-2.0
#include "builder/found_system.h"

#include "builder/fstab.h"
#include "core/error.h"

#include <algorithm>
#include <optional>
#include <regex>

namespace kiln::builder
{
namespace
{

constexpr const char* crypttab_file = "/etc/crypttab";

constexpr const char* fstab_file = "/etc/fstab";
constexpr std::size_t longest_fstab = 64 << 10;

// Of the root file system, which is mounted.
std::vector<KeptKey> keys_in_root(Appliance& appliance)
{
    std::vector<KeptKey> keys;
    // Not a symbolic link, nor a FIFO as a key, which would never end.
    if (appliance.is_file(crypttab_file)) {
        for (KeptKey& key : kept_keys(appliance.read_file(crypttab_file))) {
            if (appliance.is_file(key.key_file)) {
                keys.push_back(std::move(key));
            }
        }
    }
    return keys;
}

void open_all(Appliance& appliance, const std::vector<KeptKey>& keys)
{
    for (const KeptKey& key : keys) {
        appliance.open_luks("UUID=" + key.uuid, key.key_file, key.name);
    }
}

bool can_be_root(const FoundFilesystem& filesystem)
{
    return filesystem.type == "ext4" || filesystem.type == "xfs" || filesystem.type == "btrfs";
}

bool is_system_mounted(Appliance& appliance)
{
    return appliance.is_file(fstab_file) &&
           (appliance.is_file("/usr/lib/os-release") || appliance.is_file("/etc/os-release"));
}

// What a root file system says of its system.
struct Root {
    std::string device;
    std::string fstab;
    std::vector<KeptKey> keys;
};

// nullopt unless exactly one has a system. Nothing is mounted afterwards, but where `open`, its encrypted volumes are
// open.
std::optional<Root> find_root(Appliance& appliance, const std::vector<FoundFilesystem>& filesystems, bool open)
{
    std::optional<Root> root;
    for (const FoundFilesystem& filesystem : filesystems) {
        if (!can_be_root(filesystem)) {
            continue;
        }
        appliance.mount(filesystem.device, "/");
        const bool is_root = is_system_mounted(appliance);
        const bool is_second = is_root && root;
        if (is_root && !is_second) {
            root = Root{filesystem.device, appliance.read_file(fstab_file), keys_in_root(appliance)};
            if (open) {
                open_all(appliance, root->keys);
            }
        }
        appliance.unmount_all();
        if (is_second) {
            return std::nullopt;
        }
    }
    return root;
}

bool is_member(const FoundFilesystem& filesystem)
{
    return filesystem.type.ends_with("_member"); // of LVM or a RAID
}

// A system on plain partitions and disks, encrypted or not, such as Kiln makes: its own fstab says it all. nullopt
// where there is more to it than that.
std::optional<std::vector<Mountpoint>> read_system(Appliance& appliance)
{
    try {
        std::vector<FoundFilesystem> filesystems = appliance.filesystems();
        if (std::ranges::any_of(filesystems, is_member)) {
            return std::nullopt;
        }
        const std::optional<Root> root = find_root(appliance, filesystems, true);
        if (!root || root->fstab.size() > longest_fstab) {
            return std::nullopt;
        }
        for (const KeptKey& key : root->keys) {
            filesystems.push_back(appliance.filesystem_on("/dev/mapper/" + key.name));
        }
        return std::ranges::any_of(filesystems, is_member) ? std::nullopt
                                                           : mounts_of(root->fstab, root->device, filesystems);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::step_failed) {
            throw;
        }
        return std::nullopt; // one of them can't be mounted: the inspection goes around that
    }
}

std::vector<KeptKey> keys_of(Appliance& appliance, const Mountpoint& root)
{
    appliance.mount(root.device, root.mount);
    return keys_in_root(appliance);
}

std::vector<Mountpoint> inspect_whole_system(Appliance& appliance)
{
    appliance.unmount_all();
    appliance.activate_volume_groups(); // the saved appliance gets its disks when its own start is over
    std::vector<Mountpoint> found = appliance.inspect_system();
    const std::vector<KeptKey> keys = keys_of(appliance, found.front());
    open_all(appliance, keys);
    appliance.unmount_all();
    if (!keys.empty()) {
        appliance.activate_volume_groups();
        found = appliance.inspect_system();
    }
    return found;
}

} // namespace

std::vector<KeptKey> kept_keys(std::string_view crypttab)
{
    static const std::regex ours("([a-z]+_crypt) UUID=([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}) "
                                 R"((/etc/cryptsetup-keys\.d/\1\.key) luks(,\S*)?)");
    constexpr std::size_t longest_line = 256; // std::regex recurses for each character
    std::vector<KeptKey> keys;
    while (!crypttab.empty()) {
        const std::size_t end = std::min(crypttab.find('\n'), crypttab.size());
        const std::string line(crypttab.substr(0, end <= longest_line ? end : 0));
        crypttab.remove_prefix(std::min(end + 1, crypttab.size()));
        std::smatch found;
        if (std::regex_match(line, found, ours)) {
            keys.push_back({found[1], found[2], found[4]});
        }
    }
    return keys;
}

std::optional<std::vector<Mountpoint>> find_plain_system(Appliance& appliance,
                                                         const std::vector<FoundFilesystem>& filesystems)
{
    const auto is_more = [](const FoundFilesystem& one) { return is_member(one) || one.type == "crypto_LUKS"; };
    if (std::ranges::any_of(filesystems, is_more)) {
        return std::nullopt;
    }
    const std::optional<Root> root = find_root(appliance, filesystems, false);
    if (!root || root->fstab.size() > longest_fstab) {
        return std::nullopt;
    }
    return mounts_of(root->fstab, root->device, filesystems);
}

std::vector<Mountpoint> find_whole_system(Appliance& appliance)
{
    // libguestfs's inspection mounts all and reads with Augeas: 6 s without KVM.
    if (auto found = read_system(appliance)) {
        return *std::move(found);
    }
    return inspect_whole_system(appliance);
}

} // namespace kiln::builder
