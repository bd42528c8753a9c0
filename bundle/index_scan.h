// SPDX-License-Identifier: Apache-2.0
// Finds the entries of a large index.json without making a tree of all of them. Private to bundle/.
#pragma once

#include "core/json.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiln::bundle
{

// Calls `visit` with the text of each element of the index's `manifests`, in order. What is in an element is not looked
// at: the caller parses those that matter to it. Throws Error{io} for what is no index.
void each_index_entry(std::string_view index, const std::function<void(std::string_view entry)>& visit);

// The index with `entries` at the end, without parsing what is there; nullopt when it is not written as Kiln writes it,
// or when it may already have one of the `taken` texts (digests, reference names): then it has to be parsed.
[[nodiscard]] std::optional<std::string> appended_index(std::string_view index, std::span<const Json> entries,
                                                        std::span<const std::string> taken);

} // namespace kiln::bundle
