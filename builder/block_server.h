// SPDX-License-Identifier: Apache-2.0
// Serves one disk, a chain of qcow2 layers with a writable top, over NBD on a UNIX socket
// (qemu-storage-daemon). The chain is spelled out node by node: formats are explicit and a layer's
// own backing-file field is never looked at.
#pragma once

#include "core/background_process.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kiln::builder
{

class BlockServer
{
public:
    // `layers` bottom first, read-only; `top` is written to. The socket is in `work`, whose path must
    // be short (108 bytes). Returns when the socket accepts. Throws Error{missing_tool, io}.
    BlockServer(const std::vector<std::filesystem::path>& layers, const std::filesystem::path& top,
                const std::filesystem::path& work);

    [[nodiscard]] const std::filesystem::path& socket() const noexcept { return socket_; }
    // Flushes and closes the disks.
    void stop();

private:
    std::filesystem::path socket_;
    std::unique_ptr<BackgroundProcess> daemon_;
};

// The daemon's argv; pure, for its test.
[[nodiscard]] std::vector<std::string> block_server_argv(const std::vector<std::filesystem::path>& layers,
                                                         const std::filesystem::path& top,
                                                         const std::filesystem::path& socket);

} // namespace kiln::builder
