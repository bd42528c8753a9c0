// SPDX-License-Identifier: Apache-2.0
// Finds the entries of a large index.json without making a tree of all of them. Private to bundle/.
#pragma once

#include <functional>
#include <string_view>

namespace kiln::bundle
{

// Calls `visit` with the text of each element of the index's `manifests`, in order. What is in an element is not looked
// at: the caller parses those that matter to it. Throws Error{io} for what is no index.
void each_index_entry(std::string_view index, const std::function<void(std::string_view entry)>& visit);

} // namespace kiln::bundle
