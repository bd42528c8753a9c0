// SPDX-License-Identifier: Apache-2.0
#include "builder/block_server.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/text.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// A qcow2 node over `backing` (empty: over nothing).
Json qcow2_node(const std::string& name, const fs::path& file, bool read_only, const std::string& backing)
{
    return {
        {"driver", "qcow2"},
        {"node-name", name},
        {"read-only", read_only},
        {"discard", "unmap"},
        {"backing", backing.empty() ? Json() : Json(backing)},
        {"file", {{"driver", "file"}, {"filename", file.native()}, {"read-only", read_only}, {"discard", "unmap"}}}};
}

} // namespace

std::vector<std::string> block_server_argv(const std::vector<fs::path>& layers, const fs::path& top,
                                           const fs::path& socket)
{
    std::vector<std::string> argv = {"qemu-storage-daemon"};
    std::string below;
    for (const fs::path& layer : layers) {
        const std::string name = fmt::format("layer{}", argv.size() / 2);
        argv.insert(argv.end(), {"--blockdev", qcow2_node(name, layer, true, below).dump()});
        below = name;
    }
    const Json exported = {{"type", "nbd"}, {"id", "disk"}, {"node-name", "top"}, {"name", ""}, {"writable", true}};
    argv.insert(argv.end(), {"--blockdev", qcow2_node("top", top, false, below).dump(), "--nbd-server",
                             fmt::format("addr.type=unix,addr.path={}", socket.native()), "--export", exported.dump()});
    return argv;
}

BlockServer::BlockServer(const std::vector<fs::path>& layers, const fs::path& top, const fs::path& work)
    : socket_(work / "nbd.sock")
{
    const fs::path log = work / "block-server.log";
    daemon_ = std::make_unique<BackgroundProcess>(block_server_argv(layers, top, socket_), log);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!fs::exists(socket_)) {
        if (!daemon_->running() || std::chrono::steady_clock::now() > deadline) {
            throw Error(ErrorKind::io, fmt::format("qemu-storage-daemon does not serve the disk: {}",
                                                   printable(tail_lines(read_file(log), 3), false)));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void BlockServer::stop()
{
    daemon_->stop();
    fs::remove(socket_); // the daemon leaves it
}

} // namespace kiln::builder
