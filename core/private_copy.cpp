// SPDX-License-Identifier: Apache-2.0
#include "core/private_copy.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t chunk = std::size_t{1} << 20U;

std::size_t read_some(int fd, std::vector<char>& buffer)
{
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            throw system_error(errno, "reading a file to copy");
        }
    }
}

void write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            throw system_error(errno, "writing a private copy");
        }
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
}

// Reads all of `in`; writes it to `out` where that is given.
Digest pass(int in, const FileDescriptor* out, const std::stop_token& stop)
{
    Sha256 hash;
    std::vector<char> buffer(chunk);
    while (const std::size_t got = read_some(in, buffer)) {
        throw_if_interrupted(stop);
        const std::string_view bytes(buffer.data(), got);
        hash.update(bytes);
        if (out == nullptr) {
            continue;
        }
        const bool zeroes = std::ranges::all_of(bytes, [](char c) { return c == '\0'; });
        if (!zeroes) {
            write_all(out->get(), bytes);
        } else if (::lseek(out->get(), static_cast<off_t>(got), SEEK_CUR) < 0) {
            throw system_error(errno, "writing a private copy");
        }
    }
    // A hole at the end has no length of its own.
    if (out != nullptr && ::ftruncate(out->get(), ::lseek(out->get(), 0, SEEK_CUR)) != 0) {
        throw system_error(errno, "writing a private copy");
    }
    return hash.finish();
}

} // namespace

void make_private_copy(const fs::path& from, const fs::path& to, const Digest& sha256, const std::stop_token& stop)
{
    const std::string name = printable(from.native(), false);
    // O_NONBLOCK: opening a FIFO must not hang. It means nothing for regular files.
    const FileDescriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!in) {
        throw system_error(errno, fmt::format("opening {}", name));
    }
    struct stat status {
    };
    if (::fstat(in.get(), &status) != 0) {
        throw system_error(errno, fmt::format("reading {}", name));
    }
    if (!S_ISREG(status.st_mode)) {
        throw Error(ErrorKind::io, fmt::format("{} is not a regular file", name));
    }
    FileDescriptor out(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) {
        throw system_error(errno, fmt::format("creating {}", to.native()));
    }
    const bool shared = ::ioctl(out.get(), FICLONE, in.get()) == 0;
    if (!shared) {
        require_free_space(to.parent_path(), ByteSize(static_cast<std::uint64_t>(status.st_blocks) * 512),
                           fmt::format("a private copy of {}", name));
    }
    const Digest actual = shared ? pass(out.get(), nullptr, stop) : pass(in.get(), &out, stop);
    out.close();
    if (actual != sha256) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{} has the digest {}, not {}", name, actual.to_string(), sha256.to_string()),
                    "the file is not the one that is meant; check where it came from");
    }
}

} // namespace kiln
