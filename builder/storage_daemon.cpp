// SPDX-License-Identifier: Apache-2.0
#include "builder/storage_daemon.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;

std::vector<std::string> storage_daemon_argv(const fs::path& socket, const fs::path& monitor)
{
    return {"qemu-storage-daemon",
            "--chardev",
            fmt::format("socket,id=monitor,path={},server=on,wait=off", option_value(monitor)),
            "--monitor",
            "chardev=monitor",
            "--nbd-server",
            fmt::format("addr.type=unix,addr.path={}", option_value(socket))};
}

StorageDaemon::StorageDaemon(const std::vector<std::string>& argv, const fs::path& monitor, const fs::path& log)
    : process_(argv, log)
{
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!monitor_) {
        try {
            // The exports are there before the monitor answers.
            monitor_ = std::make_unique<QmpClient>(JsonSocket::connect(monitor, "qemu-storage-daemon"));
        } catch (const Error&) {
            if (!process_.running() || std::chrono::steady_clock::now() > deadline) {
                throw Error(ErrorKind::io, fmt::format("qemu-storage-daemon does not serve the disks: {}",
                                                       tail_in_one_line(read_file(log), 3)));
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    }
}

Json StorageDaemon::execute(const std::string& command, const Json& arguments)
{
    try {
        return monitor_->execute(command, arguments);
    } catch (const Error& error) {
        throw Error(ErrorKind::io, fmt::format("qemu-storage-daemon: {}", error.message()));
    }
}

void StorageDaemon::stop()
{
    execute("nbd-server-stop");
    execute("quit");
    monitor_.reset();
    process_.stop();
}

} // namespace kiln::builder
