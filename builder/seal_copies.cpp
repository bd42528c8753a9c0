// SPDX-License-Identifier: Apache-2.0
#include "builder/seal_copies.h"

#include "builder/appliance.h"
#include "builder/block_nodes.h"
#include "builder/block_server.h"
#include "builder/chain.h"
#include "builder/difference_server.h"
#include "builder/found_system.h"
#include "builder/seal.h"
#include "builder/software.h"
#include "builder/storage.h"
#include "core/parallel.h"
#include "core/process.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// The disks as they are when they are frozen.
std::vector<fs::path> files_of(const FrozenVolume& volume)
{
    std::vector<fs::path> files = volume.layers;
    std::ranges::copy(volume.overlays, std::back_inserter(files));
    return files;
}

// What sealing writes goes into an overlay of its own.
fs::path sealed_file(const SealOptions& options, std::size_t volume)
{
    return options.work / fmt::format("sealed{}.qcow2", volume);
}

// The size is in the name, so that one that is there has it.
fs::path layer_file(const fs::path& work, std::size_t volume, ByteSize size)
{
    return work / fmt::format("layer{}-{}.qcow2", volume, size.bytes());
}

Software seal_in_appliance(const std::vector<FrozenVolume>& volumes, const SealOptions& options, Progress& progress,
                           const std::stop_token& stop)
{
    progress.stage("start the libguestfs appliance");
    std::vector<DiskChain> chains;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        chains.push_back({.size = volumes[i].size, .layers = files_of(volumes[i]), .top = sealed_file(options, i)});
    }
    BlockServer server(std::move(chains), options.sockets);
    std::vector<ApplianceDrive> drives;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        drives.push_back({server.socket(), BlockServer::export_name(i)});
    }
    Appliance appliance(
        {.accelerator = options.accelerator, .temporary = options.work, .warm = options.cache / "appliance"}, drives,
        stop);
    progress.stage("seal and inspect");
    mount_found_system(appliance, find_whole_system(appliance), nullptr, 0);
    seal(appliance);
    Software software = read_software(appliance);
    appliance.shutdown();
    server.stop();
    return software;
}

DiskDifference difference_of(const FrozenVolume& volume, std::size_t index, const SealOptions& options)
{
    const auto kept = static_cast<std::ptrdiff_t>(kept_below(volume.base.size()));
    DiskDifference difference{.size = volume.size,
                              .layers = files_of(volume),
                              .base = {volume.base.begin(), volume.base.begin() + kept},
                              .layer = layer_file(options.work, index, volume.size)};
    if (!options.exact) {
        difference.layers.push_back(sealed_file(options, index));
    }
    return difference;
}

} // namespace

void make_empty_layers(const std::vector<ByteSize>& sizes, const fs::path& work)
{
    in_parallel(sizes.size(), [&](std::size_t i) { create_layer(layer_file(work, i, sizes[i]), sizes[i]); });
}

DiskSet seal_copies(const std::vector<FrozenVolume>& volumes, const SealOptions& options, Progress& progress,
                    const std::stop_token& stop)
{
    require_program("qemu-storage-daemon", "qemu-system-common");
    DiskSet disks;
    if (!options.exact) {
        disks.software = seal_in_appliance(volumes, options, progress, stop);
    }
    progress.stage("compress what changed");
    std::vector<DiskDifference> differences;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        differences.push_back(difference_of(volumes[i], i, options));
    }
    DifferenceServer server(differences, options.sockets);
    disks.volumes.resize(volumes.size());
    const auto write = [&](std::size_t i) {
        const DifferenceOptions how{.rate = options.rate, .progress = [&](double done) {
                                        progress.detail(fmt::format("{} {:.0f} %", volumes[i].device, done * 100));
                                    }};
        const std::uint64_t changed = server.write(i, how, stop);
        disks.volumes[i] = {.device = volumes[i].device,
                            .size = volumes[i].size,
                            .delete_on_termination = volumes[i].delete_on_termination,
                            .kept_below = differences[i].base.size()};
        if (changed > 0 || (i == 0 && differences[i].base.empty())) { // else it is the base's disk, or blank
            disks.volumes[i].layers.push_back({differences[i].layer});
        }
    };
    if (options.rate) { // it is for all of them together
        for (std::size_t i = 0; i < volumes.size(); ++i) {
            write(i);
        }
    } else {
        in_parallel(volumes.size(), write);
    }
    server.stop();
    return disks;
}

} // namespace kiln::builder
