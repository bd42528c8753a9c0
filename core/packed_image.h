// SPDX-License-Identifier: Apache-2.0
// Images of memory and disks, compressed: independent zstd frames (RFC 8878), which all processors pack and unpack at
// the same time, and a table of them as zstd's seekable format has it (0.1.0). `zstd -d` unpacks it as well.
#pragma once

#include "core/byte_size.h"

#include <filesystem>
#include <string_view>

namespace kiln
{

// Packs the first `size` bytes of `from` to the new file `into` (mode 0600). Holes are not read. Throws Error{io,
// no_space}.
void pack_image(int from, ByteSize size, const std::filesystem::path& into);

// Unpacks `from`, called `what` in errors, to `into`, which has `size` zero bytes: pages of zeroes are not written.
// `from` is hostile: throws Error{untrusted} unless it has just that many bytes, Error{io, no_space}.
void unpack_image(int from, int into, ByteSize size, std::string_view what);

} // namespace kiln
