// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_files.h"

#include "core/files.h"
#include "core/json.h"
#include "core/process.h"

#include <fmt/format.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

// The chain as one node: every format is said, and no layer's word for what is below it counts.
Json chain_of(const std::vector<fs::path>& layers)
{
    Json below;
    for (const fs::path& layer : layers) {
        below = {{"driver", "qcow2"}, {"backing", below}, {"file", {{"driver", "file"}, {"filename", layer.native()}}}};
    }
    return below;
}

} // namespace

void create_volume_disk(const fs::path& disk, ByteSize size, const std::vector<fs::path>& layers,
                        const std::stop_token& stop)
{
    const std::string bytes = std::to_string(size.bytes());
    if (layers.empty()) {
        run_or_throw({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", disk.native(), bytes}}, "making a volume",
                     stop);
    } else {
        run_or_throw({.argv = {"qemu-img", "convert", "-W", "-m", "4", "-O", "qcow2", "json:" + chain_of(layers).dump(),
                               disk.native()}},
                     "making a volume of the AMI's", stop);
        run_or_throw({.argv = {"qemu-img", "resize", "-q", "-f", "qcow2", disk.native(), bytes}},
                     "making a volume of the AMI's", stop);
    }
    fs::permissions(disk, fs::perms::owner_read | fs::perms::owner_write);
    sync_file(disk);
}

} // namespace kiln::launcher
