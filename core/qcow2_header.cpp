// SPDX-License-Identifier: Apache-2.0
#include "core/qcow2_header.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln
{
namespace
{

// Byte offsets of the header's fields.
constexpr std::size_t version_2_length = 72;
constexpr std::size_t version_3_length = 104;
constexpr std::size_t longest_name = 1023;

// Incompatible features.
constexpr std::uint64_t dirty = 1U << 0U;
constexpr std::uint64_t corrupt = 1U << 1U;
constexpr std::uint64_t external_data_file = 1U << 2U;
constexpr std::uint64_t compression_type = 1U << 3U;
constexpr std::uint64_t extended_l2 = 1U << 4U;

constexpr std::uint32_t data_file_extension = 0x44415441;
constexpr std::uint32_t encryption_extension = 0x0537be77;

// QEMU's own limits of the two tables that it loads whole.
constexpr ByteSize largest_l1_table = mebibytes(32);
constexpr ByteSize largest_refcount_table = mebibytes(8);

[[noreturn]] void refuse(std::string reason, std::string hint = {})
{
    throw Error(ErrorKind::untrusted, std::move(reason), std::move(hint));
}

std::string flatten_hint()
{
    return "flatten it where it was made: qemu-img convert -f qcow2 -O qcow2 OLD NEW";
}

// Big-endian fields at byte offsets. Reading past the end is refused.
class Fields
{
public:
    explicit Fields(std::string_view bytes) : bytes_(bytes) {}

    [[nodiscard]] std::uint32_t u32(std::size_t offset) const { return static_cast<std::uint32_t>(number(offset, 4)); }
    [[nodiscard]] std::uint64_t u64(std::size_t offset) const { return number(offset, 8); }
    [[nodiscard]] std::string_view text(std::size_t offset, std::size_t length) const
    {
        require(offset, length);
        return bytes_.substr(offset, length);
    }

private:
    void require(std::size_t offset, std::size_t length) const
    {
        if (offset > bytes_.size() || length > bytes_.size() - offset) {
            refuse("its header is cut short");
        }
    }
    [[nodiscard]] std::uint64_t number(std::size_t offset, std::size_t length) const
    {
        require(offset, length);
        std::uint64_t value = 0;
        for (const char c : bytes_.substr(offset, length)) {
            value = value << 8U | static_cast<unsigned char>(c);
        }
        return value;
    }

    std::string_view bytes_;
};

void refuse_backing_file(const Fields& header)
{
    const std::uint64_t offset = header.u64(8);
    const std::uint32_t length = header.u32(16);
    if (offset >= qcow2_header_bytes || length > longest_name) {
        refuse("it stands on a backing file whose name is out of bounds", flatten_hint());
    }
    if (length == 0) { // QEMU leaves an offset behind when it takes a name away
        return;
    }
    refuse(fmt::format("it stands on the backing file \"{}\"", printable(header.text(offset, length), false)),
           flatten_hint());
}

void check_features(std::uint64_t features)
{
    if ((features & external_data_file) != 0) {
        refuse("its data is in another file", flatten_hint());
    }
    if ((features & corrupt) != 0) {
        refuse("it is marked as corrupt", "repair it where it was made: qemu-img check -r all");
    }
    if ((features & dirty) != 0) {
        refuse("it was not closed properly", "repair it where it was made: qemu-img check -r all");
    }
    const std::uint64_t unknown = features & ~(compression_type | extended_l2);
    if (unknown != 0) {
        refuse(fmt::format("it needs features that Kiln does not know (0x{:x})", unknown));
    }
}

// The compression type is the last field that has a meaning; version 3 only.
void check_compression(const Fields& header, std::size_t header_length, std::uint64_t features)
{
    const unsigned type =
        header_length > version_3_length ? static_cast<unsigned char>(header.text(version_3_length, 1)[0]) : 0;
    if (type > 1 || (type != 0) != ((features & compression_type) != 0)) {
        refuse("its compression type is not zlib or zstd");
    }
}

void walk_extensions(const Fields& header, std::size_t begin, std::size_t end)
{
    for (std::size_t at = begin; end - at >= 8;) {
        const std::uint32_t type = header.u32(at);
        const std::uint32_t length = header.u32(at + 4);
        at += 8;
        if (type == 0) {
            return;
        }
        if (length > end - at) {
            refuse("a header extension is longer than the header");
        }
        if (type == data_file_extension) {
            const std::string_view name = header.text(at, std::min<std::size_t>(length, longest_name));
            refuse(fmt::format("its data is in another file, \"{}\"", printable(name, false)), flatten_hint());
        }
        if (type == encryption_extension) {
            refuse("it is encrypted", "decrypt it where it was made");
        }
        at += std::min<std::size_t>((std::size_t{length} + 7) / 8 * 8, end - at);
    }
}

void check_table(std::string_view name, std::uint64_t offset, std::uint64_t bytes, ByteSize most,
                 std::uint64_t cluster_size, ByteSize length)
{
    if (bytes > most.bytes()) {
        refuse(fmt::format("its {} claims {}", name, to_string(ByteSize(bytes))));
    }
    if (offset % cluster_size != 0 || offset > length.bytes() || bytes > length.bytes() - offset) {
        refuse(fmt::format("its {} is not inside the file", name));
    }
}

void check_tables(const Fields& header, const Qcow2Header& read, bool extended, ByteSize length)
{
    const std::uint64_t cluster_size = std::uint64_t{1} << read.cluster_bits;
    const std::uint64_t l1_entries = header.u32(36);
    // One entry of the L1 table stands for a cluster full of L2 entries. Neither overflows: 2^42 at most.
    const std::uint64_t covered = cluster_size / (extended ? 16 : 8) * cluster_size;
    const std::uint64_t needed = (read.virtual_size.bytes() + covered - 1) / covered;
    if (l1_entries < needed) {
        refuse("its L1 table is too small for its disk");
    }
    check_table("L1 table", header.u64(40), l1_entries * 8, largest_l1_table, cluster_size, length);
    const std::uint64_t refcount_bytes = std::uint64_t{header.u32(56)} * cluster_size;
    if (refcount_bytes == 0) {
        refuse("it has no refcount table");
    }
    check_table("refcount table", header.u64(48), refcount_bytes, largest_refcount_table, cluster_size, length);
}

void check_snapshots(const Fields& header)
{
    if (const std::uint32_t snapshots = header.u32(60); snapshots != 0) {
        refuse(fmt::format("it holds {} internal snapshots", snapshots), flatten_hint());
    }
}

} // namespace

Qcow2Header require_safe_qcow2(std::string_view start, ByteSize length)
{
    start = start.substr(0, qcow2_header_bytes);
    if (!start.starts_with(qcow2_magic)) {
        refuse("it is not in qcow2 format");
    }
    const Fields header(start);
    const Qcow2Header read{header.u32(4), header.u32(20), ByteSize(header.u64(24))};
    if (read.version != 2 && read.version != 3) {
        refuse(fmt::format("it is in version {} of the qcow2 format; Kiln reads 2 and 3", read.version));
    }
    refuse_backing_file(header);
    if (read.cluster_bits < 9 || read.cluster_bits > 21) {
        refuse(fmt::format("its clusters of 2^{} bytes are not from 512 B to 2 MiB", read.cluster_bits));
    }
    if (read.virtual_size > largest_foreign_disk || read.virtual_size.bytes() % 512 != 0 ||
        read.virtual_size == ByteSize()) {
        refuse(fmt::format("its disk of {} bytes is not a multiple of 512 bytes up to {}", read.virtual_size.bytes(),
                           to_string(largest_foreign_disk)));
    }
    if (header.u32(32) != 0) {
        refuse("it is encrypted", "decrypt it where it was made");
    }
    check_snapshots(header);

    std::size_t header_length = version_2_length;
    std::uint64_t features = 0;
    if (read.version == 3) {
        features = header.u64(72);
        check_features(features);
        header_length = header.u32(100);
        if (header.u32(96) > 6) {
            refuse("its refcounts are wider than 64 bits");
        }
        if (header_length < version_3_length || header_length % 8 != 0) {
            refuse(fmt::format("its header claims a length of {} bytes", header_length));
        }
        check_compression(header, header_length, features);
    }
    const std::size_t end = std::min(start.size(), std::size_t{1} << read.cluster_bits);
    if (header_length > end) {
        refuse("its header is longer than its first cluster");
    }
    walk_extensions(header, header_length, end);
    check_tables(header, read, (features & extended_l2) != 0, length);
    return read;
}

} // namespace kiln
