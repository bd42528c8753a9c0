// SPDX-License-Identifier: Apache-2.0
#include "core/file_digest.h"

#include "core/error.h"
#include "core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace kiln
{
namespace
{

// Stays in a core's own cache, between the kernel's copy and the hash.
constexpr std::size_t buffer_size = std::size_t{256} << 10U;

} // namespace

Digest digest_of_range(int fd, std::uint64_t offset, std::uint64_t length, std::string_view what)
{
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    Sha256 hash;
    std::vector<char> buffer(buffer_size);
    while (length > 0) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, buffer.size()));
        const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, fmt::format("reading {}", what));
        }
        if (got == 0) {
            break;
        }
        hash.update({buffer.data(), static_cast<std::size_t>(got)});
        offset += static_cast<std::uint64_t>(got);
        length -= static_cast<std::uint64_t>(got);
    }
    return hash.finish();
}

std::vector<Digest> digests_of_chunks(int fd, ByteSize length, ByteSize chunk, std::string_view what)
{
    const auto count = static_cast<std::size_t>((length.bytes() + chunk.bytes() - 1) / chunk.bytes());
    std::vector<std::optional<Digest>> found(count);
    in_parallel(count, [&](std::size_t i) {
        const std::uint64_t offset = i * chunk.bytes();
        found[i] = digest_of_range(fd, offset, std::min(chunk.bytes(), length.bytes() - offset), what);
    });
    std::vector<Digest> digests;
    digests.reserve(count);
    for (std::optional<Digest>& one : found) {
        digests.push_back(*std::move(one));
    }
    return digests;
}

} // namespace kiln
