// SPDX-License-Identifier: Apache-2.0
// A raw disk has no header, so all there is to check is that it is not a file in some format, labelled wrongly.
#pragma once

#include "builder/vmdk_header.h"

namespace kiln::builder
{

// The size of the disk. Throws Error{untrusted} that says what is wrong with "it".
[[nodiscard]] ByteSize require_safe_raw(const ReadAt& read_at, ByteSize length);

} // namespace kiln::builder
