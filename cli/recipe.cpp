// SPDX-License-Identifier: Apache-2.0
// kiln recipe check
#include "recipes/recipe.h"
#include "cli/context.h"

#include <fmt/format.h>

namespace kiln::cli
{

void add_recipe(CLI::App& app, Context& context)
{
    CLI::App* recipe = app.add_subcommand("recipe", "Look at recipes");
    recipe->require_subcommand(1);
    CLI::App* check = recipe->add_subcommand("check", "Check a recipe and report every error in it");
    auto file = std::make_shared<std::string>();
    check->add_option("recipe", *file, "The recipe, a TOML file (docs/recipe.md)")->required()->type_name("RECIPE");
    on_run(*check, context, [&context, file] {
        const recipes::Recipe loaded = recipes::load_recipe(*file);
        print_result(context, {{"digest", loaded.digest->to_string()}, {"recipe", recipes::to_json(loaded)}},
                     fmt::format("{}: {} {} is fine: {} packages, {} steps, {} tests\n", *file, loaded.name,
                                 loaded.version.to_string(), loaded.packages.size(), loaded.steps.size(),
                                 loaded.tests.size()));
    });
}

} // namespace kiln::cli
