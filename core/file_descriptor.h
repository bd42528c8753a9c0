// SPDX-License-Identifier: Apache-2.0
// Owns one POSIX file descriptor. Releasing never throws; use `close()` where the result matters.
#pragma once

#include <utility>

namespace kiln
{

class FileDescriptor
{
public:
    FileDescriptor() noexcept = default;
    explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor();

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    // Closes now; throws Error{io, no_space} when the kernel reports that data was lost.
    void close();

private:
    int fd_ = -1;
};

} // namespace kiln
