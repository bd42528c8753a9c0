// SPDX-License-Identifier: Apache-2.0
// What is on one volume: a file system, partitions, or logical volumes.
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t most_parts = 100; // of the 128 that a GPT has

std::size_t longest_label(std::string_view filesystem)
{
    if (filesystem == "xfs") {
        return 12;
    }
    if (filesystem == "vfat") {
        return 11;
    }
    return filesystem == "btrfs" ? 255 : 16;
}

// The keys that a file system has, whichever table it stands in. `fixed_mount` is where the root is.
Filesystem parse_filesystem(TableReader& table, std::string_view fixed_mount)
{
    Filesystem filesystem;
    const auto type = table.require("filesystem", rules::filesystem);
    const auto mount = table.find("mount", fixed_mount.empty() ? rules::mount : rules::any_mount);
    filesystem.type = type.value_or("");
    filesystem.mount = fixed_mount.empty() ? mount.value_or("") : std::string(fixed_mount);
    filesystem.options = table.find_list("options", rules::mount_option);
    filesystem.label = table.find("label", rules::label).value_or("");
    if (!type) {
        return filesystem;
    }
    const bool can_be_root = *type == "ext4" || *type == "xfs" || *type == "btrfs";
    if (!fixed_mount.empty() && !can_be_root) {
        table.fail("filesystem", {fmt::format("a root file system can't be {}", *type), "ext4, xfs or btrfs"});
    } else if (!fixed_mount.empty() && mount && *mount != fixed_mount) {
        table.fail("mount", {"the root file system is mounted at \"/\"",
                             "it is the first volume's last partition; leave `mount` out"});
    } else if (*type == "swap" && table.has("mount")) {
        table.fail("mount", {"swap is not mounted", "leave `mount` out"});
    } else if (*type != "swap" && !table.has("mount") && fixed_mount.empty()) {
        table.fail("mount", {"is missing", R"(add mount = "/srv")"});
    } else if (*type == "vfat" && filesystem.mount == "/boot") {
        table.fail("filesystem", {"kernels can't be installed on vfat", "use ext4 for /boot"});
    }
    if (filesystem.label.size() > longest_label(*type)) {
        table.fail("label", {fmt::format("{} is too long for {}", in_quotes(filesystem.label), *type),
                             fmt::format("at most {} characters", longest_label(*type))});
    }
    return filesystem;
}

// The [[storage.partition]] or [[storage.logical_volume]] tables.
std::vector<VolumePart> parse_parts(TableReader& volume, std::string_view key, bool is_root)
{
    std::vector<VolumePart> parts;
    std::set<std::string> names;
    std::vector<TableReader> tables = volume.require_tables(key);
    if (tables.size() > most_parts) {
        volume.fail(key, {fmt::format("there are more than {}", most_parts), "use several volumes"});
        return parts;
    }
    for (std::size_t i = 0; i < tables.size(); ++i) {
        TableReader& table = tables[i];
        const bool last = i + 1 == tables.size();
        VolumePart part;
        part.name = table.require("name", rules::part_name).value_or("");
        part.size = table.find("size", rules::part_size);
        part.filesystem = parse_filesystem(table, is_root && last ? "/" : "");
        if (!last && !table.has("size")) {
            table.fail("size", {"is missing", "only the last one takes what is left"});
        }
        if (!part.name.empty() && !names.insert(part.name).second) {
            table.fail("name", {in_quotes(part.name) + " is on the volume already", "give each its own name"});
        }
        table.finish();
        parts.push_back(std::move(part));
    }
    return parts;
}

} // namespace

void parse_layout(TableReader& table, Volume& volume, bool is_root)
{
    constexpr std::array<std::string_view, 3> kinds{"filesystem", "partition", "volume_group"};
    constexpr std::array<std::string_view, 2> root_kinds{"filesystem", "partition"};
    if (is_root && table.contains("volume_group")) {
        table.fail("volume_group", {"the root volume can't be under LVM", "give it [[storage.partition]] tables"});
        (void)table.has("volume_group");
        (void)table.has("logical_volume");
        return;
    }
    const std::span<const std::string_view> choice =
        is_root ? std::span<const std::string_view>(root_kinds) : std::span<const std::string_view>(kinds);
    const auto kind = find_kind(
        table, KindHints{"a volume has one of them", "exactly one of them says what is on the volume"}, choice);
    if (!kind) {
        for (const std::string_view key : {"mount", "options", "label"}) {
            (void)table.has(key); // perhaps right; what is missing has been said
        }
        return;
    }
    if (*kind == "filesystem") {
        // A boot loader needs partitions around it: the root's file system is one of them.
        volume.layout = is_root ? Volume::Layout::partitions : Volume::Layout::whole;
        volume.parts.push_back({.name = {}, .size = {}, .filesystem = parse_filesystem(table, is_root ? "/" : "")});
    } else if (*kind == "partition") {
        volume.layout = Volume::Layout::partitions;
        volume.parts = parse_parts(table, "partition", is_root);
    } else {
        volume.layout = Volume::Layout::lvm;
        volume.volume_group = table.require("volume_group", rules::part_name).value_or("");
        volume.parts = parse_parts(table, "logical_volume", false);
    }
}

} // namespace kiln::recipes
