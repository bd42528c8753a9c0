// SPDX-License-Identifier: Apache-2.0
// The [[storage]] tables, and what has to hold between them; parse_layout.cpp reads what is on one volume.
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t most_volumes = 26; // /dev/vda to /dev/vdz
constexpr std::string_view root_device = "/dev/vda";

// What a volume loses to what lies around the parts on it.
constexpr ByteSize boot_partition = mebibytes(1);
constexpr ByteSize system_partition = mebibytes(128); // of UEFI
constexpr ByteSize partition_tables = mebibytes(2);   // and alignment, at both ends
constexpr ByteSize encryption_header = mebibytes(16); // of LUKS2
constexpr ByteSize physical_volume_header = mebibytes(1);
constexpr std::uint64_t extent = mebibytes(4).bytes(); // of LVM

std::string device_at(std::size_t index)
{
    return fmt::format("/dev/vd{}", static_cast<char>('a' + index));
}

std::uint64_t overhead_of(const Volume& volume, bool is_root, const Boot& boot)
{
    std::uint64_t bytes = volume.encrypted ? encryption_header.bytes() : 0;
    if (is_root) {
        bytes += boot.firmware == "uefi" ? system_partition.bytes() : boot_partition.bytes();
    }
    if (volume.layout == Volume::Layout::partitions) {
        bytes += partition_tables.bytes();
    } else if (volume.layout == Volume::Layout::lvm) {
        bytes += physical_volume_header.bytes();
    }
    return bytes;
}

// Less than that, and the file system's tool refuses in the middle of the build.
ByteSize smallest(std::string_view filesystem)
{
    if (filesystem == "xfs") {
        return mebibytes(300);
    }
    return filesystem == "btrfs" ? mebibytes(110) : mebibytes(8);
}

// Whether the parts fit, and each is large enough for its file system.
void check_sizes(TableReader& table, const Volume& volume, std::uint64_t overhead)
{
    const bool lvm = volume.layout == Volume::Layout::lvm;
    const std::uint64_t all = volume.size.bytes();
    const std::uint64_t left = all > overhead ? all - overhead : 0;
    const std::uint64_t room = lvm ? left / extent * extent : left;
    std::uint64_t used = 0;
    for (const VolumePart& part : volume.parts) {
        const std::uint64_t size = part.size ? part.size->bytes() : room - std::min(used, room);
        // At most 26 * 64 TiB for each of at most some 10,000 parts: far from 2^64.
        used += lvm ? (size + extent - 1) / extent * extent : size;
        const ByteSize least = smallest(part.filesystem.type);
        if (size < least.bytes() && used <= room) {
            table.fail({fmt::format("leaves {} for {}{}", to_string(ByteSize(size)), part.filesystem.type,
                                    part.name.empty() ? "" : " on " + in_quotes(part.name)),
                        fmt::format("{} needs at least {}", part.filesystem.type, to_string(least))});
        }
    }
    if (used > room) {
        table.fail("size",
                   {fmt::format("is too small for what is on the volume, {} together", to_string(ByteSize(used))),
                    fmt::format("{} of {} can be used", to_string(ByteSize(room)), to_string(volume.size))});
    }
}

class StorageParser
{
public:
    StorageParser(bool has_parent, const Boot& boot) : has_parent_(has_parent), boot_(boot) {}

    void add(TableReader& table)
    {
        const std::size_t failures = table.failures();
        Volume volume;
        volume.device = parse_device(table);
        const bool is_root = has_parent_ ? volume.device == root_device : volumes_.empty();
        volume.size =
            table.require("size", is_root ? rules::root_volume_size : rules::volume_size).value_or(ByteSize());
        volume.type = table.find("type", rules::volume_type).value_or(volume.type);
        volume.delete_on_termination = table.find_flag("delete_on_termination", true);
        volume.encrypted = table.find_flag("encrypted", false);
        if (volume.encrypted && is_root) {
            table.fail("encrypted", {"the root volume can't be encrypted: nobody is there to unlock it at boot",
                                     "put what is secret on a data volume"});
        }
        if (is_root && has_parent_) {
            refuse_layout(table);
        } else {
            parse_layout(table, volume, is_root);
            check_unique(table, volume);
            if (volume.encrypted && !is_root && volume.layout == Volume::Layout::partitions) {
                table.fail("encrypted", {"an encrypted volume can't have partitions: no guest looks for any inside it",
                                         "give it one file system, or a volume_group"});
            }
        }
        if (table.failures() == failures && !volume.parts.empty()) {
            check_sizes(table, volume, overhead_of(volume, is_root, boot_));
        }
        table.finish();
        volumes_.push_back(std::move(volume));
    }

    [[nodiscard]] std::vector<Volume> take() { return std::move(volumes_); }

private:
    std::string parse_device(TableReader& table)
    {
        if (has_parent_) {
            const auto device = table.require("device", rules::device);
            if (device && !volumes_.empty() && *device <= volumes_.back().device) {
                table.fail("device", {in_quotes(*device) + " does not come after the volume before it",
                                      "volumes stand in the order of their devices"});
            }
            return device.value_or("");
        }
        std::string expected = device_at(volumes_.size());
        const auto device = table.find("device", rules::device);
        if (device && *device != expected) {
            table.fail("device", {fmt::format("{} is not the next device", in_quotes(*device)),
                                  fmt::format("the guest's kernel counts them: this one is \"{}\"", expected)});
        }
        return expected;
    }

    // What is on a parent's root volume stays: it can only grow.
    static void refuse_layout(TableReader& table)
    {
        for (const std::string_view key : {"filesystem", "partition", "volume_group"}) {
            if (table.has(key)) {
                table.fail(key, {"the root volume comes from the parent with what is on it",
                                 "leave it out; its size, type and the like may be given"});
            }
        }
    }

    void check_unique(TableReader& table, const Volume& volume)
    {
        for (const VolumePart& part : volume.parts) {
            const std::string& mount = part.filesystem.mount;
            if (!mount.empty() && !mounts_.insert(mount).second) {
                table.fail(
                    {fmt::format("mounts a second file system at {}", in_quotes(mount)), "each mount point has one"});
            }
        }
        if (!volume.volume_group.empty() && !groups_.insert(volume.volume_group).second) {
            table.fail("volume_group", {in_quotes(volume.volume_group) + " is on an earlier volume",
                                        "give each volume a group of its own"});
        }
    }

    bool has_parent_;
    const Boot& boot_;
    std::vector<Volume> volumes_;
    std::set<std::string> mounts_;
    std::set<std::string> groups_;
};

} // namespace

std::vector<Volume> parse_storage(TableReader& root, bool has_parent, const Boot& boot)
{
    std::vector<TableReader> tables = has_parent ? root.find_tables("storage") : root.require_tables("storage");
    if (tables.size() > most_volumes) {
        tables.at(most_volumes)
            .fail({fmt::format("an image has at most {} volumes", most_volumes),
                   "put several file systems on one volume"});
        tables.erase(tables.begin() + most_volumes, tables.end());
    }
    StorageParser parser(has_parent, boot);
    for (TableReader& table : tables) {
        parser.add(table);
    }
    return parser.take();
}

} // namespace kiln::recipes
