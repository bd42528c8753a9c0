// SPDX-License-Identifier: Apache-2.0
#include "bundle/index_append.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace kiln::bundle
{
namespace
{

namespace fs = std::filesystem;

// How canonical_json() begins and ends an index of Kiln's.
constexpr std::string_view beginning = R"({"manifests":[)";
constexpr std::string_view ending = R"(],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2})";
constexpr std::uint64_t least_room = 16UL * 1024;
constexpr std::uint64_t page = 4096;         // what a disk and the kernel write as a whole
constexpr std::size_t window = 256UL * 1024; // what is looked at in one go: the second level cache has it

// The C library's search, which skips most of a large text: std::string_view::find stops at each first character, and
// the standard's searchers cost ten times as much where nothing is optimized.
bool contains(std::string_view text, std::string_view part)
{
    return ::memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

struct Scan {
    bool taken = false;
    std::uint64_t last = 0; // the byte of the last entry's end, or of the `[`
};

// Looks at all of the index but its ending, which begins at `size`.
Scan scan(int fd, std::uint64_t size, std::span<const std::string> parts)
{
    std::size_t longest = 1;
    for (const std::string& part : parts) {
        longest = std::max(longest, part.size());
    }
    Scan found;
    // Windows overlap, so that a part that lies across two of them is whole in one.
    for (std::uint64_t begin = 0; begin < size && !found.taken; begin += window) {
        const std::string text = read_at(fd, begin, std::min(window + longest - 1, size - begin), "reading index.json");
        found.taken = std::ranges::any_of(parts, [&](const std::string& part) { return contains(text, part); });
        if (const std::size_t last = text.find_last_not_of(' '); last != std::string::npos) {
            found.last = std::max(found.last, begin + last);
        }
    }
    return found;
}

struct Chunk {
    std::uint64_t begin;
    std::string text;
};

// Where each entry goes, in the room that ends at `end`; none when they don't fit.
std::vector<Chunk> places(std::span<const Json> entries, std::uint64_t last, std::uint64_t end)
{
    std::vector<Chunk> chunks;
    std::uint64_t at = last + 1;
    for (const Json& entry : entries) {
        Chunk chunk{at, (at == beginning.size() ? "" : ",") + canonical_json(entry)};
        if (at / page != (at + chunk.text.size() - 1) / page) {
            chunk.begin = (at / page + 1) * page;
        }
        at = chunk.begin + chunk.text.size();
        if (chunk.text.size() > page || at > end) {
            return {};
        }
        chunks.push_back(std::move(chunk));
    }
    return chunks;
}

void lock(int fd, int how)
{
    while (::flock(fd, how) != 0) {
        if (errno != EINTR) {
            throw system_error(errno, "locking index.json");
        }
    }
}

void fill_in(int fd, const std::vector<Chunk>& chunks)
{
    lock(fd, LOCK_EX);
    for (const Chunk& chunk : chunks) {
        // Within one page and over blocks that the file has: all of it or an error.
        const ssize_t written = ::pwrite(fd, chunk.text.data(), chunk.text.size(), static_cast<off_t>(chunk.begin));
        if (written != static_cast<ssize_t>(chunk.text.size())) {
            throw system_error(written < 0 ? errno : EIO, "writing index.json");
        }
    }
    if (::fdatasync(fd) != 0) {
        throw system_error(errno, "syncing index.json");
    }
}

void copy(int from, int to, std::uint64_t size)
{
    off_t position = 0;
    while (static_cast<std::uint64_t>(position) < size) {
        const ssize_t copied = ::sendfile(to, from, &position, size - static_cast<std::uint64_t>(position));
        if (copied < 0 && errno != EINTR) {
            throw system_error(errno, "copying index.json");
        }
        if (copied == 0) {
            throw Error(ErrorKind::io, "index.json became shorter while it was read");
        }
    }
}

} // namespace

bool append_to_index(const fs::path& index, std::span<const Json> entries, std::span<const std::string> taken)
{
    const FileDescriptor file(::open(index.c_str(), O_RDWR | O_CLOEXEC));
    if (!file) {
        throw system_error(errno, fmt::format("opening {}", index.native()));
    }
    const std::uint64_t size = fs::file_size(index);
    if (size < beginning.size() + ending.size() ||
        read_at(file.get(), 0, beginning.size(), "reading index.json") != beginning ||
        read_at(file.get(), size - ending.size(), ending.size(), "reading index.json") != ending) {
        return false;
    }
    const std::uint64_t end = size - ending.size();
    const Scan found = scan(file.get(), end, taken);
    if (found.taken) {
        return false;
    }
    if (const auto chunks = places(entries, found.last, end); !chunks.empty()) {
        fill_in(file.get(), chunks);
        return true;
    }
    std::string more;
    bool first = found.last + 1 == beginning.size();
    for (const Json& entry : entries) {
        more += std::exchange(first, false) ? "" : ",";
        more += canonical_json(entry);
    }
    more.append(std::max<std::uint64_t>(least_room, size / 16), ' ');
    more += ending;
    replace_file_durably(index, 0644, [&](int fd) {
        copy(file.get(), fd, found.last + 1);
        write_all(fd, more, index);
    });
    return true;
}

std::string read_index(const fs::path& index, ByteSize limit)
{
    // One that is replaced meanwhile stays as it was: what is locked is the file, not its name.
    const FileDescriptor file(::open(index.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        throw system_error(errno, fmt::format("opening {}", index.native()));
    }
    lock(file.get(), LOCK_SH);
    return read_file(fmt::format("/proc/self/fd/{}", file.get()), limit);
}

} // namespace kiln::bundle
