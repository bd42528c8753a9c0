// SPDX-License-Identifier: Apache-2.0
#include "builder/vmdk_header.h"

#include "core/error.h"
#include "core/qcow2_header.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace kiln::builder
{
namespace
{

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t directory_is_at_end = ~std::uint64_t{0};
// Where QEMU looks for a parent's name, whatever the header says of the descriptor's place.
constexpr std::uint64_t descriptor_offset = sector;
constexpr std::size_t descriptor_bytes = 20 * sector;
// Footer: a marker, the copy of the header, the end-of-stream marker.
constexpr std::uint64_t footer_bytes = 3 * sector;

[[noreturn]] void refuse(std::string reason, std::string hint = {})
{
    throw Error(ErrorKind::untrusted, std::move(reason), std::move(hint));
}

std::string one_file_hint()
{
    return "make one file of it where it was made: qemu-img convert -O qcow2 OLD.vmdk NEW.qcow2";
}

std::uint64_t little_endian(std::string_view bytes, std::size_t offset, std::size_t length)
{
    std::uint64_t value = 0;
    for (std::size_t i = length; i > 0; --i) {
        value = value << 8U | static_cast<unsigned char>(bytes.at(offset + i - 1));
    }
    return value;
}

// SparseExtentHeader; all positions and sizes in it are in sectors.
struct Header {
    std::uint64_t version, capacity, grain, descriptor_at, descriptor_size, entries_of_table, directory_at, compression;
};

Header header_of(std::string_view bytes)
{
    if (bytes.size() < sector || !bytes.starts_with(vmdk_magic)) {
        refuse("it is not a sparse VMDK file", one_file_hint());
    }
    return {.version = little_endian(bytes, 4, 4),
            .capacity = little_endian(bytes, 12, 8),
            .grain = little_endian(bytes, 20, 8),
            .descriptor_at = little_endian(bytes, 28, 8),
            .descriptor_size = little_endian(bytes, 36, 8),
            .entries_of_table = little_endian(bytes, 44, 4),
            .directory_at = little_endian(bytes, 56, 8),
            .compression = little_endian(bytes, 77, 2)};
}

void check_sizes(const Header& header, ByteSize length)
{
    if (header.version < 1 || header.version > 3) {
        refuse(fmt::format("it is in version {} of the VMDK format; Kiln reads 1 to 3", header.version));
    }
    // With a capacity of 0 QEMU takes the embedded descriptor as if it stood alone, and opens what it names.
    if (header.capacity == 0 || header.capacity > largest_foreign_disk.bytes() / sector) {
        refuse(fmt::format("its disk of {} sectors is not of 1 sector to {}", header.capacity,
                           to_string(largest_foreign_disk)));
    }
    if (!std::has_single_bit(header.grain) || header.grain < 8 || header.grain > 2048 || header.entries_of_table < 1 ||
        header.entries_of_table > 512 || header.compression > 1) {
        refuse("its header's grain size, table size or compression is out of bounds");
    }
    if (header.directory_at == directory_is_at_end) {
        return; // the footer says where
    }
    const std::uint64_t covered = header.grain * header.entries_of_table;
    const std::uint64_t directory_bytes = (header.capacity + covered - 1) / covered * 4;
    if (header.directory_at > length.bytes() / sector ||
        directory_bytes > length.bytes() - header.directory_at * sector) {
        refuse("its grain directory is not inside the file");
    }
}

std::string_view trimmed(std::string_view text)
{
    const std::size_t begin = std::min(text.find_first_not_of(" \t\r"), text.size());
    return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

bool is_extent(std::string_view line)
{
    return line.starts_with("RW ") || line.starts_with("RDONLY ") || line.starts_with("NOACCESS ");
}

// RW 2097152 SPARSE "disk.vmdk": the name is what the file was called when it was made.
void check_extent(std::string_view line)
{
    const std::size_t quote = std::min(line.find('"'), line.size());
    const std::string_view name = line.substr(quote);
    const bool plain = name.size() > 2 && name.ends_with('"') && name.find_first_of("/\\:") == name.npos;
    if (line.substr(0, quote).find(" SPARSE ") == line.npos || !plain) {
        refuse(fmt::format("its data is in another file: {}", printable(line, false)), one_file_hint());
    }
}

void check_descriptor(std::string_view text)
{
    if (!text.starts_with("# Disk DescriptorFile")) {
        refuse("it has no descriptor", one_file_hint());
    }
    int extents = 0;
    bool known_type = false;
    while (!text.empty()) {
        const std::string_view line = trimmed(next_line(text));
        const std::size_t equals = std::min(line.find('='), line.size());
        const std::string_view key = trimmed(line.substr(0, equals));
        const std::string_view value = equals < line.size() ? trimmed(line.substr(equals + 1)) : "";
        if (is_extent(line)) {
            check_extent(line);
            ++extents;
        } else if (key == "parentCID" && value != "ffffffff" && value != "FFFFFFFF") {
            refuse("it stands on a parent disk", one_file_hint());
        } else if (key == "createType") {
            known_type = value == "\"monolithicSparse\"" || value == "\"streamOptimized\"";
            if (!known_type) {
                refuse(fmt::format("it is of the type {}, not monolithicSparse or streamOptimized",
                                   printable(value, false)),
                       one_file_hint());
            }
        }
    }
    if (extents != 1 || !known_type) {
        refuse("its descriptor does not describe one file", one_file_hint());
    }
}

} // namespace

ByteSize require_safe_vmdk(const ReadAt& read_at, ByteSize length)
{
    const Header header = header_of(read_at(0, sector));
    check_sizes(header, length);
    if (header.directory_at == directory_is_at_end) {
        // QEMU goes on with the footer's copy of the header.
        if (length.bytes() < footer_bytes || length.bytes() % sector != 0) {
            refuse("it is cut short");
        }
        const Header footer = header_of(read_at(length.bytes() - footer_bytes + sector, sector));
        check_sizes(footer, length);
        if (footer.directory_at == directory_is_at_end || footer.capacity != header.capacity) {
            refuse("its footer contradicts its header");
        }
    }
    const std::string area = read_at(descriptor_offset, descriptor_bytes);
    if (area.find("parentFileNameHint") != area.npos) {
        refuse("it stands on a parent disk", one_file_hint());
    }
    if (header.descriptor_at != descriptor_offset / sector || header.descriptor_size == 0 ||
        header.descriptor_size > descriptor_bytes / sector) {
        refuse("its descriptor is not where it belongs", one_file_hint());
    }
    const std::string_view descriptor = std::string_view(area).substr(0, header.descriptor_size * sector);
    check_descriptor(descriptor.substr(0, descriptor.find('\0')));
    return ByteSize(header.capacity * sector);
}

} // namespace kiln::builder
