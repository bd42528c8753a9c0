// SPDX-License-Identifier: Apache-2.0
// The parts of parse_recipe that have a file of their own. Each returns what it could read and leaves
// the rest as diagnostics with the reader.
#pragma once

#include "recipes/recipe.h"
#include "recipes/source_file.h"
#include "recipes/table_reader.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kiln::recipes
{

class Components;
class Secrets;
class Substitution;

// In one document, and in all components of a recipe.
inline constexpr std::size_t most_steps = 10'000;

// What the steps of one document, a recipe or a component, are read with.
struct Scope {
    const std::filesystem::path& file;
    SourceFiles& sources;
    Substitution& substitution; // with the document's parameters
    // These are the same for all documents of a recipe:
    Components& components;
    Secrets& secrets;
    std::set<std::pair<std::string, std::string>>& made; // kind and name of what may be made once
};

// `key` is "step", "build" (of a component) or "validate", where only `run` may stand.
[[nodiscard]] std::vector<Step> parse_steps(TableReader& root, std::string_view key, Scope& scope);
[[nodiscard]] Base parse_base(TableReader& root, SourceFiles& sources);

// Of an `ami` or `disk` base the volumes are the parent's, and [[storage]] only adds to them.
[[nodiscard]] std::vector<Volume> parse_storage(TableReader& root, bool has_parent, const Boot& boot);
[[nodiscard]] Boot parse_boot(TableReader& root);
[[nodiscard]] std::vector<Test> parse_tests(TableReader& root);
[[nodiscard]] LaunchDefaults parse_launch(TableReader& root);
[[nodiscard]] std::vector<std::string> parse_keep(TableReader& root);

// The parts of a volume: see parse_layout.cpp.
void parse_layout(TableReader& table, Volume& volume, bool is_root);

// A digest that must be there: what `sha256` says, when that is what the file has.
void check_digest(TableReader& table, const std::optional<Digest>& wanted, const LocatedFile& file,
                  const std::string& name);

// The content of the file that `key` names; nullopt after a diagnostic.
[[nodiscard]] std::optional<std::string> require_source(TableReader& table, std::string_view key, SourceFiles& sources);

} // namespace kiln::recipes
