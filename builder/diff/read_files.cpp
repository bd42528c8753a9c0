// SPDX-License-Identifier: Apache-2.0
#include "builder/diff/read_files.h"

#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/found_system.h"
#include "builder/storage.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace kiln::builder
{
namespace
{

constexpr std::uint64_t largest_file = std::uint64_t{16} << 20U;
constexpr std::uint64_t largest_total = std::uint64_t{64} << 20U;

ImageFile read_one(Appliance& appliance, const std::string& path, std::uint64_t& left)
{
    const auto metadata = appliance.metadata(path);
    ImageFile file{
        .path = path, .mode = metadata.mode & 07777U, .user = metadata.user, .group = metadata.group, .content = {}};
    switch (metadata.mode & 0170000U) {
    case 0040000U:
        file.kind = ImageFile::Kind::folder;
        break;
    case 0120000U:
        file.kind = ImageFile::Kind::link;
        file.content = appliance.link_target(path);
        break;
    case 0100000U:
        if (metadata.size > largest_file || metadata.size > left) {
            file.kind = ImageFile::Kind::large;
            break;
        }
        file.kind = ImageFile::Kind::file;
        file.content = appliance.read_file(path);
        left -= std::min<std::uint64_t>(left, file.content.size());
        break;
    default:
        break;
    }
    return file;
}

} // namespace

ImageFiles read_image_files(const std::vector<ImageDisk>& disks, const std::vector<std::string>& paths,
                            const DiffOptions& options, Progress& progress, const std::stop_token& stop)
{
    std::vector<DiskChain> chains;
    std::vector<ApplianceDrive> drives;
    for (std::size_t i = 0; i < disks.size(); ++i) {
        chains.push_back(
            {.size = disks[i].size, .layers = disks[i].layers, .top = options.work / fmt::format("read{}.qcow2", i)});
    }
    progress.stage("start the libguestfs appliance");
    BlockServer server(chains, options.sockets);
    for (std::size_t i = 0; i < disks.size(); ++i) {
        drives.push_back({server.socket(), BlockServer::export_name(i)});
    }
    Appliance appliance(
        {.accelerator = options.accelerator, .temporary = options.work, .warm = options.cache / "appliance"}, drives,
        stop);
    progress.stage("read what changed");
    mount_found_system(appliance, find_whole_system(appliance), nullptr, 0);
    ImageFiles found;
    found.users = parse_passwd(read_passwd(appliance));
    std::uint64_t left = largest_total;
    for (const std::string& path : paths) {
        // Not through a symbolic link: a path of a listing has none in its folders.
        const std::string folder = std::filesystem::path(path).parent_path();
        if (appliance.exists(folder) && appliance.canonical(folder) == folder && appliance.is_there(path)) {
            found.files.push_back(read_one(appliance, path, left));
        }
    }
    appliance.shutdown();
    server.stop();
    return found;
}

} // namespace kiln::builder
