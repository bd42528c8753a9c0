// SPDX-License-Identifier: Apache-2.0
// A `tree` step as a tar: bulk data goes into the appliance in one piece, never file by file.
#pragma once

#include "recipes/recipe.h"

#include <cstdint>
#include <filesystem>

namespace kiln::builder
{

// Writes the new file `tar` (pax, uncompressed; folders before what is in them; one fixed time, so that the same
// tree is the same layer). Throws Error{conflict} when a file is no longer what the recipe's digest says, which an open
// and then one read decide; Error{not_found, permission_denied, io, no_space}.
void write_tree_tar(const recipes::TreeStep& tree, std::uint32_t owner, std::uint32_t group,
                    const std::filesystem::path& tar);

} // namespace kiln::builder
