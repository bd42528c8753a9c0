// SPDX-License-Identifier: Apache-2.0
// Internal: an export of a block server, read and written by this process. The one owner of libnbd. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::builder
{

class NbdDisk
{
public:
    // Throws Error{io}, as all below.
    NbdDisk(const std::filesystem::path& socket, const std::string& export_name);
    ~NbdDisk();
    NbdDisk(const NbdDisk&) = delete;
    NbdDisk& operator=(const NbdDisk&) = delete;

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    // A range in which the chain behind the export has data (or zeroes) in its file number `depth` from the top,
    // from 1.
    struct Extent {
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
        std::uint32_t depth = 0; // 0: in no file
    };
    // Those up to `depth`, in order; the export must have been made with "allocation-depth".
    [[nodiscard]] std::vector<Extent> allocated(std::uint32_t depth);

    // Whole buffers within the disk.
    // One at a time, while other disks' reads and writes go on; `into` is the disk's until the end.
    void begin_read(std::uint64_t offset, std::span<std::byte> into);
    void finish_read();
    void write(std::uint64_t offset, std::span<const std::byte> from); // Error{no_space} too
    void write_zeroes(std::uint64_t offset, std::uint64_t length);
    void flush();

private:
    struct Handle;
    std::unique_ptr<Handle> handle_;
    std::string name_;
    std::uint64_t size_ = 0;
    std::optional<std::uint64_t> reading_; // libnbd's cookie
};

} // namespace kiln::builder
