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

namespace kiln::builder
{
namespace fs = std::filesystem;

DiskSet seal_copies(const std::vector<DiskCopy>& copies, const SealOptions& options, Progress& progress,
                    const std::stop_token& stop)
{
    require_program("qemu-storage-daemon", "qemu-system-common");
    DiskSet disks;
    std::vector<DiskChain> chains;
    chains.reserve(copies.size());
    for (const DiskCopy& copy : copies) {
        chains.push_back({.size = copy.size, .layers = copy.layers, .top = copy.delta});
    }

    progress.stage("start the libguestfs appliance");
    BlockServer server(chains, options.sockets);
    {
        std::vector<ApplianceDrive> drives;
        drives.reserve(copies.size());
        for (std::size_t i = 0; i < copies.size(); ++i) {
            drives.push_back({server.socket(), BlockServer::export_name(i)});
        }
        Appliance appliance(
            {.accelerator = options.accelerator, .temporary = options.work, .warm = options.cache / "appliance"},
            drives, stop);
        progress.stage("seal and inspect");
        mount_found_system(appliance, find_whole_system(appliance), nullptr, 0);
        seal(appliance);
        disks.software = read_software(appliance);
        appliance.shutdown();
    }

    progress.stage("compress what changed");
    for (std::size_t i = 0; i < copies.size(); ++i) {
        const DiskCopy& copy = copies[i];
        const fs::path layer = options.work / fmt::format("layer{}.qcow2", i);
        const std::size_t kept = kept_below(copy.layers.size());
        server.write_layer(i, kept, layer, stop);
        disks.volumes.push_back({.device = copy.device,
                                 .size = copy.size,
                                 .delete_on_termination = copy.delete_on_termination,
                                 .layers = {{layer}},
                                 .kept_below = kept});
    }
    server.stop();
    return disks;
}

} // namespace kiln::builder
