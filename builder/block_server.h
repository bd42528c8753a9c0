// SPDX-License-Identifier: Apache-2.0
// Serves the disks of one build over NBD on a UNIX socket (qemu-storage-daemon): each one a chain of
// read-only layers with a writable top. The chain is spelled out node by node: formats are explicit and a
// layer's own backing-file field is never looked at. Layers are cut and merged while it runs.
#pragma once

#include "builder/storage_daemon.h"
#include "core/byte_size.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

struct DiskChain {
    ByteSize size;                               // as the guest sees it
    std::optional<std::filesystem::path> raw{};  // below all layers: a raw file
    std::vector<std::filesystem::path> layers{}; // qcow2, bottom first
    std::filesystem::path top{};                 // qcow2, written to; made when it is missing
};

class BlockServer
{
public:
    // The socket and the log are in `work`, whose path must be short (108 bytes). Returns when the socket
    // accepts. Throws Error{missing_tool, io}.
    // `transfer`, a raw file, is exported too, after the disks.
    BlockServer(std::vector<DiskChain> disks, const std::filesystem::path& work,
                const std::optional<std::filesystem::path>& transfer = std::nullopt);

    [[nodiscard]] const std::filesystem::path& socket() const noexcept { return socket_; }
    // The name of a disk's export on the socket.
    [[nodiscard]] static std::string export_name(std::size_t disk);
    [[nodiscard]] static std::string transfer_export_name();

    // Puts a fresh overlay on each disk, in the file of that index; returns the tops so far, which are finished
    // and whole. Nothing may be mounted on the disks. A few milliseconds.
    std::vector<std::filesystem::path> cut(const std::vector<std::filesystem::path>& tops);

    // Merges what lies above the lowest `base` files of the chain into the new file `layer`: qcow2 with zstd
    // clusters. Clusters that are zero over other data stay explicitly zero. Nobody may write meanwhile.
    void write_layer(std::size_t disk, std::size_t base, const std::filesystem::path& layer,
                     const std::stop_token& stop);

    // Flushes and closes the disks.
    void stop();

private:
    void run_job(const std::string& command, Json arguments, const std::stop_token& stop);

    std::vector<DiskChain> disks_;
    std::filesystem::path socket_;
    std::optional<StorageDaemon> daemon_;
};

// The daemon's argv; pure, for its test.
[[nodiscard]] std::vector<std::string> block_server_argv(const std::vector<DiskChain>& disks,
                                                         const std::filesystem::path& socket,
                                                         const std::filesystem::path& monitor,
                                                         const std::optional<std::filesystem::path>& transfer = {});

} // namespace kiln::builder
