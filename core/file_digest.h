// SPDX-License-Identifier: Apache-2.0
// SHA-256 of parts of a file, and of a large file's chunks on all processors.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace kiln
{

// Of `length` bytes from `offset` on, or of less where the file ends. `what` is read, for the error {io}. Leaves the
// descriptor's position alone, so that threads may share it.
[[nodiscard]] Digest digest_of_range(int fd, std::uint64_t offset, std::uint64_t length, std::string_view what);

// Of each `chunk` bytes of the file's first `length` ones; the last chunk may be shorter.
[[nodiscard]] std::vector<Digest> digests_of_chunks(int fd, ByteSize length, ByteSize chunk, std::string_view what);

} // namespace kiln
