// SPDX-License-Identifier: Apache-2.0
#include "core/packed_image.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace kiln
{
namespace
{

constexpr std::size_t page = 4096;
constexpr std::uint64_t piece_size = mebibytes(1).bytes(); // a processor's cache has it
constexpr int level = 1;                                   // the next one takes twice the time for a tenth less

// Of the seekable format: a skippable frame with the sizes of the others, whose last bytes say how many they are.
constexpr std::uint32_t table_magic = 0x184d2a5e;
constexpr std::uint32_t footer_magic = 0x8f92eab1;
constexpr std::size_t header_size = 8; // magic, length of what follows
constexpr std::size_t entry_size = 8;  // compressed size, size
constexpr std::size_t footer_size = 9; // number of frames, flags, magic

struct Frame {
    std::uint64_t begin = 0; // in the file
    std::uint64_t length = 0;
    std::uint64_t offset = 0; // in the image
    std::uint64_t size = 0;
};

void add_number(std::string& bytes, std::uint64_t value)
{
    for (unsigned i = 0; i < 4; ++i) {
        bytes += static_cast<char>((value >> (8 * i)) & 0xffU);
    }
}

std::uint32_t number_at(std::string_view bytes, std::size_t at)
{
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
        value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes.at(at + i))) << (8 * i);
    }
    return value;
}

std::string compress(std::string_view bytes)
{
    std::string frame(::ZSTD_compressBound(bytes.size()), '\0');
    const std::size_t length = ::ZSTD_compress(frame.data(), frame.size(), bytes.data(), bytes.size(), level);
    if (::ZSTD_isError(length) != 0) {
        throw Error(ErrorKind::internal, fmt::format("zstd: {}", ::ZSTD_getErrorName(length)));
    }
    frame.resize(length);
    return frame;
}

const std::string& frame_of_zeroes()
{
    static const std::string frame = compress(std::string(piece_size, '\0'));
    return frame;
}

// Whether all of it is a hole, as the file system tells.
bool is_hole(int fd, std::uint64_t offset, std::uint64_t length)
{
    const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    return (data < 0 && errno == ENXIO) || (data >= 0 && static_cast<std::uint64_t>(data) >= offset + length);
}

std::string pack_piece(int from, std::uint64_t offset, std::uint64_t length)
{
    if (length == piece_size && is_hole(from, offset, length)) {
        return frame_of_zeroes();
    }
    const std::string bytes = read_at(from, offset, length, "reading what is to be packed");
    if (bytes.size() != length) {
        throw Error(ErrorKind::io, "what is to be packed ended early");
    }
    return compress(bytes);
}

std::string table_of(const std::vector<Frame>& frames)
{
    std::string bytes;
    add_number(bytes, table_magic);
    add_number(bytes, frames.size() * entry_size + footer_size);
    for (const Frame& frame : frames) {
        add_number(bytes, frame.length);
        add_number(bytes, frame.size);
    }
    add_number(bytes, frames.size());
    bytes += '\0'; // no checksums
    add_number(bytes, footer_magic);
    return bytes;
}

[[noreturn]] void refuse(std::string_view what, std::string_view why)
{
    throw Error(ErrorKind::untrusted, fmt::format("{} is no packed image of its size: {}", what, why));
}

std::vector<Frame> read_table(int from, ByteSize size, std::string_view what)
{
    struct stat status {
    };
    if (::fstat(from, &status) != 0) {
        throw system_error(errno, fmt::format("reading {}", what));
    }
    const auto end = static_cast<std::uint64_t>(status.st_size);
    if (end < header_size + footer_size) {
        refuse(what, "it is too short");
    }
    const std::string footer = read_at(from, end - footer_size, footer_size, "reading a packed image");
    if (footer.size() != footer_size || footer[4] != 0 || number_at(footer, 5) != footer_magic) {
        refuse(what, "it does not end with a table");
    }
    const std::uint64_t count = number_at(footer, 0);
    const std::uint64_t length = header_size + count * entry_size + footer_size;
    if (count > size.bytes() / piece_size + 1 || length > end) {
        refuse(what, "its table is too long");
    }
    const std::string table = read_at(from, end - length, length - footer_size, "reading a packed image");
    if (table.size() != length - footer_size || number_at(table, 0) != table_magic ||
        number_at(table, 4) != length - header_size) {
        refuse(what, "its table has no beginning");
    }
    std::vector<Frame> frames;
    std::uint64_t begin = 0;
    std::uint64_t offset = 0;
    for (std::size_t at = header_size; at < table.size(); at += entry_size) {
        frames.push_back({begin, number_at(table, at), offset, number_at(table, at + 4)});
        if (frames.back().size > piece_size || frames.back().length > ::ZSTD_compressBound(piece_size)) {
            refuse(what, "a frame of it is too large");
        }
        begin += frames.back().length;
        offset += frames.back().size;
    }
    if (begin != end - length || offset != size.bytes()) {
        refuse(what, "its table is about something else");
    }
    return frames;
}

// On a disk that gets full the last write is a short one, and only the one after it says why.
void write_all_at(int fd, std::string_view bytes, std::uint64_t offset)
{
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0) {
            throw system_error(errno, "writing an image");
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
}

// Runs of pages that are not zero, each in one write.
void write_pages(int fd, std::string_view bytes, std::uint64_t offset)
{
    static const std::string zeroes(page, '\0');
    std::size_t begin = 0;
    for (std::size_t at = 0;; at += page) {
        const bool is_end = at >= bytes.size();
        if (is_end || bytes.substr(at, page) == std::string_view(zeroes).substr(0, bytes.size() - at)) {
            if (at > begin) {
                write_all_at(fd, bytes.substr(begin, at - begin), offset + begin);
            }
            begin = at + page;
        }
        if (is_end) {
            return;
        }
    }
}

void unpack_frame(int from, int into, const Frame& frame, std::string_view what)
{
    const std::string packed = read_at(from, frame.begin, frame.length, "reading a packed image");
    if (packed == frame_of_zeroes() && frame.size == piece_size) {
        return;
    }
    std::string bytes(frame.size, '\0');
    if (::ZSTD_decompress(bytes.data(), bytes.size(), packed.data(), packed.size()) != frame.size) {
        refuse(what, "a frame of it is damaged");
    }
    write_pages(into, bytes, frame.offset);
}

} // namespace

void pack_image(int from, ByteSize size, const std::filesystem::path& into)
{
    FileDescriptor out(::open(into.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) {
        throw system_error(errno, fmt::format("making {}", into.native()));
    }
    std::vector<Frame> frames;
    for (std::uint64_t offset = 0; offset < size.bytes(); offset += piece_size) {
        frames.push_back({.offset = offset, .size = std::min(piece_size, size.bytes() - offset)});
    }
    const std::size_t at_once = 16 * usable_processors();
    for (std::size_t first = 0; first < frames.size(); first += at_once) {
        std::vector<std::string> packed(std::min(at_once, frames.size() - first));
        in_parallel(packed.size(), [&](std::size_t i) {
            packed[i] = pack_piece(from, frames[first + i].offset, frames[first + i].size);
        });
        for (std::size_t i = 0; i < packed.size(); ++i) {
            frames[first + i].length = packed[i].size();
            write_all(out.get(), packed[i], into);
        }
    }
    write_all(out.get(), table_of(frames), into);
    out.close();
}

void unpack_image(int from, int into, ByteSize size, std::string_view what)
{
    const std::vector<Frame> frames = read_table(from, size, what);
    in_parallel(frames.size(), [&](std::size_t i) { unpack_frame(from, into, frames[i], what); });
}

} // namespace kiln
