// SPDX-License-Identifier: Apache-2.0
// Reads the header and descriptor of a VMDK file that somebody else made, before QEMU opens it: a descriptor
// can name other files of the host as extents or as the parent. Format: VMware's "Virtual Disk Format 5.0".
#pragma once

#include "core/byte_size.h"

#include <functional>
#include <string>
#include <string_view>

namespace kiln::builder
{

inline constexpr std::string_view vmdk_magic = "KDMV";

// Reads up to `length` bytes of the file at `offset`.
using ReadAt = std::function<std::string(std::uint64_t offset, std::size_t length)>;

// The size of the virtual disk. Only files that hold their own data are accepted: monolithicSparse and
// streamOptimized with one sparse extent and an embedded descriptor. Throws Error{untrusted} that says what is
// wrong with "it".
[[nodiscard]] ByteSize require_safe_vmdk(const ReadAt& read_at, ByteSize length);

} // namespace kiln::builder
