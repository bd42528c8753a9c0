// SPDX-License-Identifier: Apache-2.0
#include "core/files.h"

#include "core/error.h"
#include "core/random.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

FileDescriptor open_or_throw(const fs::path& path, int flags, mode_t mode = 0)
{
    FileDescriptor fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", path.native()));
    }
    return fd;
}

void sync_or_throw(int fd, const fs::path& path)
{
    if (::fsync(fd) != 0) {
        throw system_error(errno, fmt::format("syncing {}", path.native()));
    }
}

void rename_or_throw(const fs::path& from, const fs::path& to)
{
    if (::rename(from.c_str(), to.c_str()) != 0) {
        throw system_error(errno, fmt::format("renaming {} to {}", from.native(), to.native()));
    }
}

// The lock on a folder that was just made; none when a sweep took it for abandoned meanwhile. Without a lock on the
// parent, which may be a work folder itself, locked by its owner for as long as it lives.
FileDescriptor lock_new_folder(const fs::path& path)
{
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno != ENOENT) {
        throw system_error(errno, fmt::format("opening {}", path.native()));
    }
    if (!fd || (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)) {
        return {};
    }
    // A sweep removes a folder before it lets go of its lock.
    struct stat locked {
    };
    struct stat there {
    };
    const bool stays = ::fstat(fd.get(), &locked) == 0 && ::lstat(path.c_str(), &there) == 0 &&
                       locked.st_ino == there.st_ino && locked.st_dev == there.st_dev;
    return stays ? std::move(fd) : FileDescriptor();
}

fs::path folder_of(const fs::path& path)
{
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

} // namespace

std::string read_file(const fs::path& path, ByteSize limit)
{
    const FileDescriptor fd = open_or_throw(path, O_RDONLY);
    std::string bytes;
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error(errno, fmt::format("reading {}", path.native()));
        }
        if (got == 0) {
            return bytes;
        }
        bytes.append(buffer, static_cast<std::size_t>(got));
        if (bytes.size() > limit.bytes()) {
            throw Error(ErrorKind::io, fmt::format("{} is larger than {}", path.native(), to_string(limit)));
        }
    }
}

std::string read_at(int fd, std::uint64_t offset, std::size_t length, const char* doing)
{
    std::string bytes(length, '\0');
    std::size_t filled = 0;
    while (filled < length) {
        const ssize_t got = ::pread(fd, bytes.data() + filled, length - filled, static_cast<off_t>(offset + filled));
        if (got < 0 && errno != EINTR) {
            throw system_error(errno, doing);
        }
        if (got == 0) {
            break;
        }
        filled += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    }
    bytes.resize(filled);
    return bytes;
}

void write_file_durably(const fs::path& path, std::string_view bytes, mode_t mode)
{
    replace_file_durably(path, mode, [&](int fd) { write_all(fd, bytes, path); });
}

void write_all(int fd, std::string_view bytes, const fs::path& path)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error(errno, fmt::format("writing {}", path.native()));
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void replace_file_durably(const fs::path& path, mode_t mode, const std::function<void(int fd)>& write)
{
    const fs::path temporary = path.native() + "." + random_hex(8) + ".tmp";
    try {
        FileDescriptor fd = open_or_throw(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
        write(fd.get());
        sync_or_throw(fd.get(), temporary);
        fd.close();
        rename_or_throw(temporary, path);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    sync_directory(folder_of(path));
}

void sync_file(const fs::path& path)
{
    FileDescriptor fd = open_or_throw(path, O_RDONLY);
    sync_or_throw(fd.get(), path);
    fd.close();
}

void link_or_copy(const fs::path& from, const fs::path& to)
{
    std::error_code unlinkable;
    fs::create_hard_link(from, to, unlinkable);
    if (unlinkable) {
        fs::copy_file(from, to);
    }
}

void publish_file(const fs::path& from, const fs::path& to)
{
    sync_file(from);
    rename_or_throw(from, to);
    ::unlink(from.c_str()); // it is still there when both were links to one file: rename(2) does nothing then
    sync_directory(folder_of(to));
}

void make_directories(const fs::path& path, mode_t mode)
{
    if (path.empty() || fs::is_directory(path)) {
        return;
    }
    make_directories(path.parent_path(), mode);
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
        throw system_error(errno, fmt::format("creating {}", path.native()));
    }
}

void make_private_directory(const fs::path& path)
{
    make_directories(path, 0700);
    struct stat status {
    };
    if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::getuid() ||
        (status.st_mode & 077) != 0) {
        throw Error(ErrorKind::permission_denied, fmt::format("{} is not a private folder of this user", path.native()),
                    "remove it, or set XDG_RUNTIME_DIR to a folder of your own");
    }
}

void sync_directory(const fs::path& path)
{
    const FileDescriptor fd = open_or_throw(path, O_RDONLY | O_DIRECTORY);
    sync_or_throw(fd.get(), path);
}

void require_free_space(const fs::path& folder, ByteSize needed, std::string_view purpose)
{
    struct statvfs status {
    };
    if (::statvfs(folder.c_str(), &status) != 0) {
        throw system_error(errno, fmt::format("looking at {}", folder.native()));
    }
    const ByteSize free(static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize);
    if (free < needed) {
        throw Error(ErrorKind::no_space,
                    fmt::format("{} needs {} in {}, which has {} free", purpose, to_string(needed), folder.native(),
                                to_string(free)),
                    "free some space there, or point KILN_HOME at a larger file system");
    }
}

ByteSize allocated_size(const fs::path& path)
{
    struct stat status {
    };
    if (::stat(path.c_str(), &status) != 0) {
        throw system_error(errno, fmt::format("looking at {}", path.native()));
    }
    return ByteSize(static_cast<std::uint64_t>(status.st_blocks) * 512);
}

WorkFolder::WorkFolder(const fs::path& parent, std::string_view prefix)
{
    make_directories(parent, 0700);
    while (!lock_) {
        path_ = parent / fmt::format("{}{}", prefix, random_hex(8));
        if (::mkdir(path_.c_str(), 0700) != 0) {
            throw system_error(errno, fmt::format("creating {}", path_.native()));
        }
        lock_ = lock_new_folder(path_);
    }
}

WorkFolder::~WorkFolder()
{
    if (lock_) {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
}

int WorkFolder::sweep_abandoned(const fs::path& parent)
{
    if (!fs::exists(parent)) {
        return 0;
    }
    int swept = 0;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
        const FileDescriptor fd(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            fs::remove_all(entry.path(), ignored);
            ++swept;
        }
    }
    return swept;
}

FileLock::FileLock(const fs::path& path, Wait wait, std::string_view busy_message)
    : FileLock(path, wait, busy_message, Access::exclusive)
{
}

FileLock::FileLock(const fs::path& path, Wait wait, std::string_view busy_message, Access access)
    : fd_(open_or_throw(path, O_RDWR | O_CREAT, 0600))
{
    const int operation = (access == Access::exclusive ? LOCK_EX : LOCK_SH) | (wait == Wait::fail ? LOCK_NB : 0);
    while (::flock(fd_.get(), operation) != 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno == EWOULDBLOCK) {
            throw Error(ErrorKind::conflict, std::string(busy_message));
        }
        throw system_error(errno, fmt::format("locking {}", path.native()));
    }
}

} // namespace kiln
