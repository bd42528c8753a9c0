// SPDX-License-Identifier: Apache-2.0
// A small qcow2 file that is sound as far as its header tells, with any bytes behind it.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::test
{

inline void put_big_endian(std::string& bytes, std::size_t offset, std::uint64_t value, std::size_t length)
{
    for (std::size_t i = 0; i < length; ++i) {
        bytes[offset + length - 1 - i] = static_cast<char>(value >> (8 * i));
    }
}

// Clusters of 512 bytes: the header, the L1 table of a disk of 32 KiB, the refcount table, then `content`.
inline std::string made_qcow2(const std::string& content)
{
    constexpr std::size_t cluster = 512;
    std::string bytes(3 * cluster, '\0');
    bytes.replace(0, 4, "QFI\xfb");
    put_big_endian(bytes, 4, 3, 4);            // version
    put_big_endian(bytes, 20, 9, 4);           // cluster bits
    put_big_endian(bytes, 24, 32 << 10, 8);    // virtual size
    put_big_endian(bytes, 36, 1, 4);           // entries of the L1 table
    put_big_endian(bytes, 40, cluster, 8);     // its offset
    put_big_endian(bytes, 48, 2 * cluster, 8); // the refcount table's offset
    put_big_endian(bytes, 56, 1, 4);           // its clusters
    put_big_endian(bytes, 96, 4, 4);           // refcounts of 16 bits
    put_big_endian(bytes, 100, 104, 4);        // the header's length
    return bytes + content;
}

} // namespace kiln::test
