// SPDX-License-Identifier: Apache-2.0
// The parts of parse_recipe that have a file of their own. Each returns what it could read and leaves
// the rest as diagnostics with the reader.
#pragma once

#include "recipes/recipe.h"
#include "recipes/source_file.h"
#include "recipes/table_reader.h"

#include <vector>

namespace kiln::recipes
{

[[nodiscard]] std::vector<Step> parse_steps(TableReader& root, SourceFiles& sources);
[[nodiscard]] std::vector<Test> parse_tests(TableReader& root);

} // namespace kiln::recipes
