// SPDX-License-Identifier: Apache-2.0
// kiln recipe check|new|schema; plan and explain are in recipe_plan.cpp
#include "recipes/recipe.h"
#include "cli/context.h"
#include "cli/parameters.h"
#include "cli/region_components.h"
#include "core/error.h"
#include "core/files.h"
#include "core/paths.h"
#include "recipes/field_rules.h"

#include <fmt/format.h>

#include <filesystem>

namespace kiln::cli
{
namespace
{

namespace fs = std::filesystem;

void check(const Context& context, const std::string& file, const std::vector<std::string>& parameters)
{
    RegionComponents components(context);
    const recipes::Recipe loaded =
        recipes::load_recipe(file, {.parameters = parse_parameters(parameters), .components = &components});
    print_result(context, {{"digest", loaded.digest->to_string()}, {"recipe", recipes::to_json(loaded)}},
                 fmt::format("{}: {} {} is fine: {} packages, {} steps, {} tests\n", file, loaded.name,
                             loaded.version_text(), loaded.packages.size(), loaded.steps.size(), loaded.tests.size()));
}

// The template is a recipe itself; only its name changes.
void create(const Context& context, const std::string& name)
{
    constexpr std::string_view template_name = "name = \"new-recipe\"";
    const recipes::Checked<std::string> checked = recipes::rules::image_name.check(name);
    if (const auto* problem = std::get_if<recipes::Problem>(&checked)) {
        throw Error(ErrorKind::usage, problem->message, problem->hint);
    }
    const fs::path file = name + ".toml";
    std::string text = read_file(find_data_file("new-recipe.toml"));
    text.replace(text.find(template_name), template_name.size(), fmt::format("name = \"{}\"", name));
    if (fs::exists(fs::symlink_status(file))) {
        throw Error(ErrorKind::conflict, fmt::format("{} exists", file.native()), "choose another name, or remove it");
    }
    write_file_durably(file, text);
    print_result(context, {{"file", file.native()}},
                 fmt::format("{} is there; build it with: kiln build {}\n", file.native(), file.native()));
}

// The same with --json: a schema is JSON.
void print_schema(const Context& context)
{
    const std::string text = read_file(find_data_file("recipe-schema.json"));
    print_result(context, parse_json(text, "the schema"), text);
}

} // namespace

std::map<std::string, std::string> parse_parameters(const std::vector<std::string>& assignments)
{
    std::map<std::string, std::string> parameters;
    for (const std::string& assignment : assignments) {
        const std::size_t equals = assignment.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw Error(ErrorKind::usage, fmt::format("--set {} is not an assignment", assignment),
                        "write it like --set listen_port=8080");
        }
        parameters.insert_or_assign(assignment.substr(0, equals), assignment.substr(equals + 1));
    }
    return parameters;
}

void add_recipe(CLI::App& app, Context& context)
{
    CLI::App* recipe = app.add_subcommand("recipe", "Check, start and describe recipes");
    recipe->require_subcommand(1);

    CLI::App* check_command = recipe->add_subcommand("check", "Check a recipe and report every error in it");
    auto file = std::make_shared<std::string>();
    auto parameters = std::make_shared<std::vector<std::string>>();
    check_command->add_option("recipe", *file, "The recipe, a TOML file (docs/recipe.md)")
        ->required()
        ->type_name("RECIPE");
    add_parameters(*check_command, *parameters);
    on_run_in_region(*check_command, context, [&context, file, parameters] { check(context, *file, *parameters); });

    CLI::App* new_command = recipe->add_subcommand("new", "Write a recipe to start from, NAME.toml");
    auto name = std::make_shared<std::string>();
    new_command->add_option("name", *name, "The AMI's name")->required()->type_name("NAME");
    on_run(*new_command, context, [&context, name] { create(context, *name); });
    add_recipe_plan(*recipe, context);
    add_recipe_from_drift(*recipe, context);

    CLI::App* schema_command =
        recipe->add_subcommand("schema", "Print the JSON Schema of recipes, for editors and other programs");
    on_run(*schema_command, context, [&context] { print_schema(context); });
}

} // namespace kiln::cli
