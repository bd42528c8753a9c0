// SPDX-License-Identifier: Apache-2.0
// Reads the header of a qcow2 file that somebody else made, before any QEMU program opens the file: the
// header can name other files of the host and ask for any amount of memory. Format: QEMU's docs/interop/qcow2.
#pragma once

#include "core/byte_size.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kiln
{

inline constexpr std::string_view qcow2_magic{"QFI\xfb", 4};

// All that require_safe_qcow2 looks at, but for the lengths of tables.
inline constexpr std::size_t qcow2_header_bytes = std::size_t{64} << 10U;

// No virtual disk may be larger, whatever its format.
inline constexpr ByteSize largest_foreign_disk{std::uint64_t{64} << 40U};

struct Qcow2Header {
    std::uint32_t version = 0; // 2 or 3
    std::uint32_t cluster_bits = 0;
    ByteSize virtual_size;
};

// `start` is the file's beginning: qcow2_header_bytes of it, or all of a shorter file; `length` is the whole
// file's. Throws Error{untrusted} whose message says what is wrong with "it"; the caller says with what.
//
// Refused: a backing file or external data file under any name, encryption, internal snapshots, the dirty and
// corrupt marks, incompatible features that Kiln doesn't know, a virtual disk above largest_foreign_disk, and
// tables that are not wholly inside the file. The tables' content is not looked at: whoever reads it bounds its
// memory and time.
Qcow2Header require_safe_qcow2(std::string_view start, ByteSize length);

} // namespace kiln
