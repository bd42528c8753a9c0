// SPDX-License-Identifier: Apache-2.0
#include "core/file_descriptor.h"

#include "core/error.h"

#include <cerrno>
#include <unistd.h>

namespace kiln
{

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept
{
    if (this != &other) {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

FileDescriptor::~FileDescriptor()
{
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void FileDescriptor::close()
{
    const int fd = release();
    if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) {
        throw system_error(errno, "closing a file");
    }
}

} // namespace kiln
