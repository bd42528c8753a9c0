// SPDX-License-Identifier: Apache-2.0
// Tests that follow from the rest of a recipe: that the image is what it asks for. All of them are
// commands in the guest; each costs a tenth of a second or two, so that they are few.
#pragma once

#include "recipes/recipe.h"
#include "recipes/table_reader.h"

#include <vector>

namespace kiln::recipes
{

// Reads `derive_tests`. Without it: whether commands can run in the guest, as far as the recipe tells. A
// base that is not an image of Kiln's or anyone's has just the packages that the recipe names.
[[nodiscard]] bool wants_derived_tests(TableReader& root, const Recipe& recipe);

[[nodiscard]] std::vector<Test> derive_tests(const Recipe& recipe);

} // namespace kiln::recipes
