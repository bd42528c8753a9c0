// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/lease.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <utility>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

fs::path folder_of(const fs::path& region_folder)
{
    return region_folder / "leases";
}

// Who may only read a region can't keep its owner from collecting.
bool may_write(const fs::path& folder)
{
    return ::access(folder.c_str(), W_OK) == 0 || (errno != EACCES && errno != EROFS);
}

bool write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
    return true;
}

std::set<Digest> parse(const fs::path& file)
{
    std::set<Digest> digests;
    const std::string text = read_file(file);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        const auto digest = Digest::parse(std::string_view(text).substr(at, end - at));
        if (!digest || end == std::string::npos) {
            throw Error(ErrorKind::io, fmt::format("the lease {} is damaged", file.native()),
                        "end the kiln process that holds it, or wait for it");
        }
        digests.insert(*digest);
        at = end + 1;
    }
    return digests;
}

} // namespace

Lease::Lease(const fs::path& region_folder, const std::vector<Digest>& digests)
{
    if (!may_write(region_folder)) {
        return;
    }
    std::string text;
    for (const Digest& digest : digests) {
        text += digest.to_string() + "\n";
    }
    make_directories(folder_of(region_folder), 0700);
    const FileLock taking(leases_lock(region_folder), FileLock::Wait::block, {}, FileLock::Access::shared);
    const fs::path file = folder_of(region_folder) / random_hex(16);
    // Not durable: a machine that stops ends the holder as well.
    lock_ = FileDescriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 || !write_all(lock_.get(), text)) {
        const int failure = errno;
        ::unlink(file.c_str());
        throw system_error(failure, fmt::format("writing {}", file.native()));
    }
    file_ = file;
}

Lease::Lease(Lease&& other) noexcept : file_(std::exchange(other.file_, fs::path())), lock_(std::move(other.lock_)) {}

Lease& Lease::operator=(Lease&& other) noexcept
{
    std::swap(file_, other.file_);
    std::swap(lock_, other.lock_);
    return *this;
}

Lease::~Lease()
{
    if (!file_.empty()) {
        ::unlink(file_.c_str());
    }
}

Leases read_leases(const fs::path& region_folder)
{
    Leases leases;
    if (!fs::exists(folder_of(region_folder))) {
        return leases;
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(region_folder))) {
        const FileDescriptor fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd && errno == ENOENT) {
            continue; // its holder has just ended
        }
        if (!fd) {
            throw system_error(errno, fmt::format("opening {}", entry.path().native()));
        }
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            leases.dead.push_back(entry.path());
            continue;
        }
        if (errno != EWOULDBLOCK) {
            throw system_error(errno, fmt::format("locking {}", entry.path().native()));
        }
        try {
            leases.digests.merge(parse(entry.path()));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) {
                throw;
            }
        }
    }
    return leases;
}

} // namespace kiln::registry
