// SPDX-License-Identifier: Apache-2.0
// A component on its own, before it is published.
#pragma once

#include "recipes/recipe.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace kiln::recipes
{

struct CheckedComponent {
    std::string name{};
    SemanticVersion version;
    std::string description{};
};

// Reads the component as a recipe would that gives it `options.parameters`. Nothing is beside a component in a region:
// one that names files is refused, and those that it names are looked for in `options.components` only. Throws
// RecipeError; Error{usage} for a parameter that it does not have.
[[nodiscard]] CheckedComponent check_component(std::string_view text, const std::filesystem::path& file,
                                               const LoadOptions& options);

} // namespace kiln::recipes
