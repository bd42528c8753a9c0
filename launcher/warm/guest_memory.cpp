// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/guest_memory.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t page = 4096;
constexpr std::size_t buffer_size = std::size_t{1} << 20U;
constexpr int fixed_size = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int fixed_content = fixed_size | F_SEAL_WRITE | F_SEAL_SEAL;

// On a disk that gets full the last write is a short one, and only the one after it says why.
void write_all_at(int fd, std::string_view bytes, off_t offset)
{
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), offset);
        if (written < 0) {
            throw system_error(errno, "writing a guest's memory");
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += written;
    }
}

// Runs of pages that are not zero, each in one write.
void write_pages(int fd, std::string_view bytes, off_t offset)
{
    static const std::string zeroes(page, '\0');
    std::size_t begin = 0;
    for (std::size_t at = 0; at <= bytes.size(); at += page) {
        const bool is_end = at >= bytes.size();
        if (is_end || bytes.substr(at, page) == std::string_view(zeroes).substr(0, bytes.size() - at)) {
            if (at > begin) {
                write_all_at(fd, bytes.substr(begin, at - begin), offset + static_cast<off_t>(begin));
            }
            begin = at + page;
        }
    }
}

} // namespace

FileDescriptor make_guest_memory(ByteSize size)
{
    FileDescriptor memory(::memfd_create("kiln-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size.bytes())) != 0 ||
        ::fcntl(memory.get(), F_ADD_SEALS, fixed_size) != 0) {
        throw system_error(errno, "making a guest's memory");
    }
    return memory;
}

void seal_guest_memory(const FileDescriptor& memory)
{
    if (::fcntl(memory.get(), F_ADD_SEALS, fixed_content) != 0) {
        throw system_error(errno, "sealing a guest's memory");
    }
}

bool is_sealed_memory(const FileDescriptor& memory, ByteSize size) noexcept
{
    struct stat status {
    };
    return ::fcntl(memory.get(), F_GET_SEALS) == fixed_content && ::fstat(memory.get(), &status) == 0 &&
           ByteSize(static_cast<std::uint64_t>(status.st_size)) == size;
}

void copy_memory(const FileDescriptor& from, const FileDescriptor& into, ByteSize size)
{
    const auto limit = static_cast<off_t>(size.bytes());
    for (off_t at = 0; at < limit && (at = ::lseek(from.get(), at, SEEK_DATA)) >= 0;) {
        const off_t end = std::min(::lseek(from.get(), at, SEEK_HOLE), limit);
        while (at < end) {
            const auto wanted = std::min<std::size_t>(buffer_size, static_cast<std::size_t>(end - at));
            const std::string bytes = read_at(from.get(), static_cast<std::uint64_t>(at), wanted, "reading the memory");
            if (bytes.size() != wanted) {
                throw Error(ErrorKind::io, "the memory of the machine ended early");
            }
            write_pages(into.get(), bytes, at);
            at += static_cast<off_t>(wanted);
        }
    }
}

void write_memory_image(const FileDescriptor& memory, ByteSize size, const fs::path& file)
{
    FileDescriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out || ::ftruncate(out.get(), static_cast<off_t>(size.bytes())) != 0) {
        throw system_error(errno, fmt::format("making {}", file.native()));
    }
    copy_memory(memory, out, size);
    out.close();
}

} // namespace kiln::launcher
