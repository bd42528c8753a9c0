// SPDX-License-Identifier: Apache-2.0
// New layers of what finished disks have and their bases have not. A qemu-storage-daemon of its own has both and the
// new layers; nobody else writes to any of them. All nodes are on its command line, as it reads its monitor byte by
// byte.
#pragma once

#include "builder/layer_difference.h"
#include "builder/storage_daemon.h"
#include "core/byte_size.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

struct DiskDifference {
    ByteSize size;                             // as the guest sees it
    std::vector<std::filesystem::path> layers; // the disk: qcow2, bottom first, one at least
    std::vector<std::filesystem::path> base;   // what it is known to be a change of; empty: zeroes
    std::filesystem::path layer; // qcow2 with zstd clusters, over the base: empty, and made where it is not there
};

class DifferenceServer
{
public:
    // The socket and the log are in `work`, whose path must be short (108 bytes). Throws Error{missing_tool, io,
    // no_space}.
    DifferenceServer(std::vector<DiskDifference> disks, const std::filesystem::path& work);

    // Writes the layer of that disk; only what differs is stored. Clusters that are zero over other data stay
    // explicitly zero. Returns how many bytes differ. Threads may do this at the same time, each with another disk.
    std::uint64_t write(std::size_t disk, const DifferenceOptions& options, const std::stop_token& stop);

    // Flushes and closes the layers.
    void stop();

private:
    std::vector<DiskDifference> disks_;
    std::filesystem::path socket_;
    std::optional<StorageDaemon> daemon_;
};

// The daemon's argv; pure, for its test.
[[nodiscard]] std::vector<std::string> difference_server_argv(const std::vector<DiskDifference>& disks,
                                                              const std::filesystem::path& socket,
                                                              const std::filesystem::path& monitor);

} // namespace kiln::builder
