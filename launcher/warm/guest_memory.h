// SPDX-License-Identifier: Apache-2.0
// The memory of a guest that becomes a template, and of its clones. It is no file of a disk's while the guest boots:
// writing that back made a boot ten times slower on a busy disk.
#pragma once

#include "core/byte_size.h"
#include "core/file_descriptor.h"

namespace kiln::launcher
{

// The name of QEMU's object, and so of what saved and restored machines have in common.
inline constexpr const char* memory_object = "memory";

// A memory file (memfd_create(2)) of `size` zero bytes, whose size nobody changes any more. It has no name, so that
// nobody opens it but whoever has its descriptor: QEMU, which is another user, opens it anew below /proc. Throws
// Error{io}.
[[nodiscard]] FileDescriptor make_guest_memory(ByteSize size);

// Nobody writes to it any more; private mappings are of their own pages. Throws Error{io} while it is mapped for
// writing.
void seal_guest_memory(const FileDescriptor& memory);
[[nodiscard]] bool is_sealed_memory(const FileDescriptor& memory, ByteSize size) noexcept;

} // namespace kiln::launcher
