// SPDX-License-Identifier: Apache-2.0
// A template's memory, which all its clones on this host map: one sealed memory file, unpacked from the template's own
// file by the first of them and there for as long as a clone's supervisor is. No file of a folder does, as QEMU opens
// what it maps for writing even where it maps it privately: a guest that broke out of its QEMU could change what the
// others' pages are.
//
// Which supervisors have it is written below the run folder; the descriptor itself is opened below /proc.
#pragma once

#include "core/byte_size.h"
#include "core/file_descriptor.h"
#include "core/paths.h"

#include <string>

namespace kiln::launcher
{

// `name`, hex digits, is the digest of the packed file, which was verified. This process has the memory for others,
// too, until it closes the descriptor, whose number is not to change. Throws Error{untrusted, io, no_space}.
[[nodiscard]] FileDescriptor share_template_memory(const Paths& paths, const std::string& name,
                                                   const FileDescriptor& packed, ByteSize size);

} // namespace kiln::launcher
