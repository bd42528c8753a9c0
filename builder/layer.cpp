// SPDX-License-Identifier: Apache-2.0
#include "builder/layer.h"

#include "core/process.h"

namespace kiln::builder
{
namespace fs = std::filesystem;

void layer_from_raw(const fs::path& raw, const fs::path& layer, const std::stop_token& stop)
{
    // Parallel and out of order: the order of clusters in the file has no meaning.
    run_or_throw({.argv = {"qemu-img", "convert", "-c", "-m", "8", "-W", "-f", "raw", "-O", "qcow2", "-o",
                           "compression_type=zstd", raw.native(), layer.native()}},
                 "writing a disk layer", stop);
}

} // namespace kiln::builder
