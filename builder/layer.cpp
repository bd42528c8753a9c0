// SPDX-License-Identifier: Apache-2.0
#include "builder/layer.h"

#include "core/process.h"

#include <string>
#include <vector>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// Parallel and out of order: the order of clusters in the file has no meaning.
const std::vector<std::string> convert = {"qemu-img", "convert", "-c",    "-m", "8",
                                          "-W",       "-O",      "qcow2", "-o", "compression_type=zstd"};

void run_qemu_img(std::vector<std::string> argv, const std::stop_token& stop)
{
    run_or_throw({.argv = std::move(argv)}, "writing a disk layer", stop);
}

} // namespace

void layer_from_raw(const fs::path& raw, const fs::path& layer, const std::stop_token& stop)
{
    std::vector<std::string> argv = convert;
    argv.insert(argv.end(), {"-f", "raw", raw.native(), layer.native()});
    run_qemu_img(std::move(argv), stop);
}

void layer_from_delta(const fs::path& delta, ByteSize disk_size, const fs::path& layer, const fs::path& work,
                      const std::stop_token& stop)
{
    // qemu-img keeps "not allocated" and "zero" apart only when both sides have a backing file. Its
    // content does not matter, since only what lies above it is copied: an empty one serves.
    const fs::path empty = work / "empty.qcow2";
    run_qemu_img({"qemu-img", "create", "-q", "-f", "qcow2", empty.native(), std::to_string(disk_size.bytes())}, stop);
    run_qemu_img({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", empty.native(), delta.native()},
                 stop);
    std::vector<std::string> argv = convert;
    argv.insert(argv.end(), {"-f", "qcow2", "-B", empty.native(), "-F", "qcow2", delta.native(), layer.native()});
    run_qemu_img(std::move(argv), stop);
    run_qemu_img({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", layer.native()}, stop);
    fs::remove(empty);
}

} // namespace kiln::builder
