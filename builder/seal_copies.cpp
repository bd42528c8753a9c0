// SPDX-License-Identifier: Apache-2.0
#include "builder/seal_copies.h"

#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/chain.h"
#include "builder/found_system.h"
#include "builder/seal.h"
#include "builder/software.h"
#include "builder/storage.h"
#include "core/process.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// What sealing writes goes into an overlay of its own.
std::vector<DiskChain> chains_of(const std::vector<FrozenVolume>& volumes, const fs::path& work)
{
    std::vector<DiskChain> chains;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        DiskChain chain{
            .size = volumes[i].size, .layers = volumes[i].layers, .top = work / fmt::format("sealed{}.qcow2", i)};
        std::ranges::copy(volumes[i].overlays, std::back_inserter(chain.layers));
        chains.push_back(std::move(chain));
    }
    return chains;
}

Software seal_in_appliance(const BlockServer& server, std::size_t disks, const SealOptions& options, Progress& progress,
                           const std::stop_token& stop)
{
    progress.stage("start the libguestfs appliance");
    std::vector<ApplianceDrive> drives;
    for (std::size_t i = 0; i < disks; ++i) {
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
    return software;
}

} // namespace

DiskSet seal_copies(const std::vector<FrozenVolume>& volumes, const SealOptions& options, Progress& progress,
                    const std::stop_token& stop)
{
    require_program("qemu-storage-daemon", "qemu-system-common");
    DiskSet disks;
    BlockServer server(chains_of(volumes, options.work), options.sockets);
    if (!options.exact) {
        disks.software = seal_in_appliance(server, volumes.size(), options, progress, stop);
    }
    progress.stage("compress what changed");
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        const FrozenVolume& volume = volumes[i];
        const fs::path layer = options.work / fmt::format("layer{}.qcow2", i);
        const DifferenceOptions difference{.rate = options.rate, .progress = [&](double done) {
                                               progress.detail(fmt::format("{} {:.0f} %", volume.device, done * 100));
                                           }};
        const std::size_t kept = kept_below(volume.base.size());
        const std::vector<fs::path> base(volume.base.begin(), volume.base.begin() + static_cast<std::ptrdiff_t>(kept));
        const std::uint64_t changed = server.write_difference(i, base, layer, difference, stop);
        Volume finished{.device = volume.device,
                        .size = volume.size,
                        .delete_on_termination = volume.delete_on_termination,
                        .kept_below = kept};
        if (changed > 0 || (i == 0 && base.empty())) { // else it is the base's disk as it is, or blank
            finished.layers.push_back({layer});
        }
        disks.volumes.push_back(std::move(finished));
    }
    server.stop();
    return disks;
}

} // namespace kiln::builder
