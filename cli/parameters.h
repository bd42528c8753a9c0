// SPDX-License-Identifier: Apache-2.0
// --set NAME=VALUE of the commands that read a recipe.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

namespace kiln::cli
{

inline void add_parameters(CLI::App& command, std::vector<std::string>& assignments)
{
    command.add_option("--set", assignments, "Give a parameter of the recipe a value; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
}

// The last one of a name counts. Throws Error{usage} for what has no "=".
[[nodiscard]] std::map<std::string, std::string> parse_parameters(const std::vector<std::string>& assignments);

} // namespace kiln::cli
