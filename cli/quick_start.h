// SPDX-License-Identifier: Apache-2.0
// Quick start: the recipes that ship with Kiln, as AMIs that are built when they are first wanted.
#pragma once

#include "cli/context.h"
#include "core/progress.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::cli
{

struct QuickStart {
    std::string name;
    std::string version;
    std::string architecture;
    std::string description;
    std::filesystem::path recipe;
};

// By name; a recipe of the library that can't be read is left out.
[[nodiscard]] std::vector<QuickStart> quick_starts(const Context& context);

// Builds the library's recipe of that name where `reference` is just a name and the region has no such image: with
// `yes`, or when the user at the terminal says so. Throws Error{not_found} that says how, when there is nobody to ask
// or the answer is no. Does nothing for every other reference.
void build_on_first_use(Context& context, const std::string& reference, bool yes, Progress& progress);

} // namespace kiln::cli
