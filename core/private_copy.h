// SPDX-License-Identifier: Apache-2.0
// A copy of a file that only Kiln can change, with a digest that was checked on the copy itself: between the check
// and the use nobody else can put something else in its place.
#pragma once

#include "core/digest.h"

#include <filesystem>
#include <stop_token>

namespace kiln
{

// Copies the regular file `from` to the new file `to` (mode 0600): a reflink where the file system has them, else
// its bytes, with holes for zeroes. Throws Error{untrusted} unless the copy has the digest `sha256`, Error{no_space}
// before it starts when the copy won't fit, Error{io, not_found, permission_denied, interrupted}.
void make_private_copy(const std::filesystem::path& from, const std::filesystem::path& to, const Digest& sha256,
                       const std::stop_token& stop);

} // namespace kiln
