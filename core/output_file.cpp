// SPDX-License-Identifier: Apache-2.0
#include "core/output_file.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

constexpr mode_t mode = 0644;

fs::path folder_of(const fs::path& path)
{
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Error taken(const fs::path& path)
{
    return {ErrorKind::conflict, fmt::format("{} exists already", path.native()), "remove it, or choose another file"};
}

} // namespace

OutputFile::OutputFile(fs::path path) : path_(std::move(path))
{
    if (fs::exists(fs::symlink_status(path_))) {
        throw taken(path_);
    }
    fd_ = FileDescriptor(::open(folder_of(path_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
    if (fd_) {
        return;
    }
    if (errno != EOPNOTSUPP && errno != EISDIR) {
        throw system_error(errno, fmt::format("creating {}", path_.native()));
    }
    temporary_ = path_.native() + "." + random_hex(8) + ".tmp";
    fd_ = FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd_) {
        const int failure = errno;
        temporary_.clear();
        throw system_error(failure, fmt::format("creating {}", path_.native()));
    }
}

OutputFile::~OutputFile()
{
    if (!temporary_.empty()) {
        ::unlink(temporary_.c_str());
    }
}

void OutputFile::commit()
{
    if (::fsync(fd_.get()) != 0) {
        throw system_error(errno, fmt::format("writing {}", path_.native()));
    }
    // link(2) instead of rename(2): it does not replace.
    const std::string from =
        temporary_.empty() ? fmt::format("/proc/self/fd/{}", fd_.get()) : std::string(temporary_.native());
    if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        if (errno == EEXIST) {
            throw taken(path_);
        }
        throw system_error(errno, fmt::format("naming {}", path_.native()));
    }
    fd_.close();
    sync_directory(folder_of(path_));
}

} // namespace kiln
