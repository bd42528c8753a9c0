// SPDX-License-Identifier: Apache-2.0
// Internal: a running qemu-storage-daemon, which serves block nodes over NBD on a UNIX socket.
#pragma once

#include "core/background_process.h"
#include "core/json.h"
#include "core/qmp_client.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kiln::builder
{

// Its argv up to the nodes and exports.
[[nodiscard]] std::vector<std::string> storage_daemon_argv(const std::filesystem::path& socket,
                                                           const std::filesystem::path& monitor);

class StorageDaemon
{
public:
    // Returns when the exports of `argv` are there. Throws Error{missing_tool, io}.
    StorageDaemon(const std::vector<std::string>& argv, const std::filesystem::path& monitor,
                  const std::filesystem::path& log);

    // Safe for several threads. Throws Error{io}.
    Json execute(const std::string& command, const Json& arguments = Json::object());
    // Flushes and closes the disks.
    void stop();

private:
    BackgroundProcess process_;
    std::unique_ptr<QmpClient> monitor_;
};

} // namespace kiln::builder
