// SPDX-License-Identifier: Apache-2.0
#include "builder/fstab.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mntent.h>

namespace kiln::builder
{
namespace
{

struct CloseFile {
    void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
};

constexpr std::string_view by_uuid = "UUID=";
constexpr std::string_view by_label = "LABEL=";

bool is_plain_place(const std::string& place)
{
    return place.starts_with('/') && !place.starts_with("//") &&
           std::filesystem::path(place).lexically_normal() == place && (place.size() == 1 || !place.ends_with('/'));
}

// A line that no disk of the system is behind.
bool is_elsewhere(const mntent& line)
{
    const std::string_view source = line.mnt_fsname;
    return std::string_view(line.mnt_type) == MNTTYPE_SWAP || ::hasmntopt(&line, "bind") != nullptr ||
           ::hasmntopt(&line, "noauto") != nullptr || (!source.starts_with('/') && source.find('=') == source.npos);
}

const FoundFilesystem* find_source(std::string_view source, const std::vector<FoundFilesystem>& filesystems)
{
    const auto has = [&](const FoundFilesystem& one) {
        return (source.starts_with(by_uuid) && source.substr(by_uuid.size()) == one.uuid && !one.uuid.empty()) ||
               (source.starts_with(by_label) && source.substr(by_label.size()) == one.label && !one.label.empty());
    };
    return std::ranges::count_if(filesystems, has) == 1 ? &*std::ranges::find_if(filesystems, has) : nullptr;
}

} // namespace

std::optional<std::vector<Mountpoint>> mounts_of(std::string_view fstab, const std::string& root_device,
                                                 const std::vector<FoundFilesystem>& filesystems)
{
    std::vector<Mountpoint> mounts{{"/", root_device}};
    std::string text(fstab);
    if (text.find('\0') != text.npos) {
        return std::nullopt;
    }
    const std::unique_ptr<std::FILE, CloseFile> file(text.empty() ? nullptr
                                                                  : ::fmemopen(text.data(), text.size(), "r"));
    std::array<char, 4096> buffer{};
    mntent line{};
    while (file && ::getmntent_r(file.get(), &line, buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
        const std::string place = line.mnt_dir;
        if (place == "/" || is_elsewhere(line)) {
            continue;
        }
        const FoundFilesystem* source = find_source(line.mnt_fsname, filesystems);
        const bool twice = std::ranges::find(mounts, place, &Mountpoint::mount) != mounts.end();
        if (source == nullptr || twice || !is_plain_place(place)) {
            return std::nullopt;
        }
        mounts.push_back({place, source->device});
    }
    std::ranges::sort(mounts, {}, &Mountpoint::mount);
    return mounts;
}

} // namespace kiln::builder
