// SPDX-License-Identifier: Apache-2.0
// Adds to an index.json of any size, at the cost of what is added. Private to bundle/.
//
// Kiln leaves room for what is to come: spaces before the end of `manifests`, which JSON allows. An entry goes there,
// into one page of the file, so that neither a killed process nor another reader makes or sees a part of it. When the
// room is used up, the file is copied once with more of it.
#pragma once

#include "core/byte_size.h"
#include "core/json.h"

#include <filesystem>
#include <span>
#include <string>

namespace kiln::bundle
{

// Puts `entries` at the end of the index, durably, each whole or not at all. False, and nothing done, when it is not
// written as Kiln writes it, or when it may already have one of the `taken` texts (digests, reference names): then it
// has to be parsed. The caller sees to it that only one adds at a time. Throws Error{io, no_space}.
[[nodiscard]] bool append_to_index(const std::filesystem::path& index, std::span<const Json> entries,
                                   std::span<const std::string> taken);

// The index's text, not read while an entry is on its way into it. Throws as read_file().
[[nodiscard]] std::string read_index(const std::filesystem::path& index, ByteSize limit);

} // namespace kiln::bundle
