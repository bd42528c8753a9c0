// SPDX-License-Identifier: Apache-2.0
// The parts of parse_recipe that have a file of their own. Each returns what it could read and leaves
// the rest as diagnostics with the reader.
#pragma once

#include "recipes/recipe.h"
#include "recipes/source_file.h"
#include "recipes/table_reader.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace kiln::recipes
{

class Components;
class Secrets;
class Substitution;

// What the steps of one document, a recipe or a component, are read with.
struct Scope {
    const std::filesystem::path& file;
    SourceFiles& sources;
    Substitution& substitution; // with the document's parameters
    // These are the same for all documents of a recipe:
    Components& components;
    Secrets& secrets;
    std::set<std::string>& users; // that were made so far
};

// `key` is "step", "build" (of a component) or "validate", where only `run` may stand.
[[nodiscard]] std::vector<Step> parse_steps(TableReader& root, std::string_view key, Scope& scope);
[[nodiscard]] std::vector<Test> parse_tests(TableReader& root);

} // namespace kiln::recipes
