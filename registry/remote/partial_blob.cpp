// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/partial_blob.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace kiln::registry::remote
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t piece_size = std::size_t{1} << 20U;
constexpr std::chrono::hours kept_for{24 * 7};

[[noreturn]] void failed(std::string_view doing, const fs::path& path)
{
    throw system_error(errno, fmt::format("{} {}", doing, path.native()));
}

// Whether the file that is open still has this name: whoever had it before may have moved it away.
bool has_name(int fd, const fs::path& path)
{
    struct stat open_one {
    };
    struct stat named {
    };
    return ::fstat(fd, &open_one) == 0 && ::lstat(path.c_str(), &named) == 0 && open_one.st_dev == named.st_dev &&
           open_one.st_ino == named.st_ino;
}

// Read-only since it was seen to be the blob.
bool is_finished(int fd)
{
    struct stat status {
    };
    return ::fstat(fd, &status) == 0 && (status.st_mode & S_IWUSR) == 0;
}

// Nothing for one that is not old enough, or that a living process has.
FileDescriptor lock_abandoned(const fs::path& path)
{
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    std::error_code failure;
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        return {};
    }
    const auto written = fs::last_write_time(path, failure);
    return failure || fs::file_time_type::clock::now() - written < kept_for ? FileDescriptor() : std::move(fd);
}

} // namespace

PartialBlob::PartialBlob(const fs::path& folder, bundle::Descriptor blob, std::stop_token stop)
    : path_(folder / blob.digest.hex()), blob_(std::move(blob)), stop_(std::move(stop))
{
    make_directories(folder, 0700);
    open();
    hash_what_is_there();
}

void PartialBlob::open()
{
    for (;;) {
        fd_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
        if (!fd_) {
            failed("opening", path_);
        }
        while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK && errno != EINTR) {
                failed("locking", path_);
            }
            throw_if_interrupted(stop_);
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        if (!has_name(fd_.get(), path_)) {
            continue;
        }
        writer_.close();
        if (!is_finished(fd_.get())) {
            writer_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
            if (!writer_) {
                failed("opening", path_);
            }
        }
        return;
    }
}

void PartialBlob::hash_what_is_there()
{
    hash_ = std::make_unique<Sha256>();
    size_ = 0;
    for (;;) {
        throw_if_interrupted(stop_);
        const std::string piece = read_at(fd_.get(), size_, piece_size, "reading a partial blob");
        if (piece.empty()) {
            break;
        }
        hash_->update(piece);
        size_ += piece.size();
    }
    if (size_ > blob_.size.bytes() || (!writer_ && !is_whole())) {
        restart();
    }
}

void PartialBlob::restart()
{
    if (!writer_) {
        fs::remove(path_);
        open();
        return hash_what_is_there();
    }
    if (::ftruncate(writer_.get(), 0) != 0) {
        failed("emptying", path_);
    }
    hash_ = std::make_unique<Sha256>();
    size_ = 0;
}

void PartialBlob::remove()
{
    fs::remove(path_);
}

bool PartialBlob::write(std::uint64_t offset, std::string_view piece)
{
    if (offset == 0 && size_ != 0) {
        restart();
    }
    if (offset != size_ || piece.size() > blob_.size.bytes() - size_) {
        return false;
    }
    hash_->update(piece);
    while (!piece.empty()) {
        const ssize_t written = ::pwrite(writer_.get(), piece.data(), piece.size(), static_cast<off_t>(size_));
        if (written < 0 && errno != EINTR) {
            failed("writing", path_);
        }
        const auto length = static_cast<std::size_t>(std::max<ssize_t>(written, 0));
        size_ += length;
        piece.remove_prefix(length);
    }
    return true;
}

bool PartialBlob::finish(const fs::path& to)
{
    if (hash_->finish() != blob_.digest) {
        remove();
        return false;
    }
    if (writer_ && (::fchmod(writer_.get(), 0444) != 0 || ::fsync(writer_.get()) != 0)) {
        failed("writing", path_);
    }
    link_or_copy(path_, to);
    return true;
}

void PartialBlob::drop(const fs::path& folder, const Digest& blob)
{
    const fs::path path = folder / blob.hex();
    const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd && is_finished(fd.get())) {
        std::error_code ignored; // the next week takes it
        fs::remove(path, ignored);
    }
}

std::vector<fs::path> PartialBlob::abandoned(const fs::path& folder)
{
    std::vector<fs::path> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        if (lock_abandoned(entry.path())) {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

void PartialBlob::sweep(const fs::path& folder)
{
    for (const fs::path& path : abandoned(folder)) {
        if (const FileDescriptor locked = lock_abandoned(path)) { // a pull may have come back to it
            std::error_code ignored;
            fs::remove(path, ignored);
        }
    }
}

} // namespace kiln::registry::remote
