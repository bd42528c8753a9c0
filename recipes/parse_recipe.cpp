// SPDX-License-Identifier: Apache-2.0
// TOML -> Recipe. Nothing is returned unless everything is right.
#include "recipes/recipe.h"

#include "core/files.h"
#include "recipes/components.h"
#include "recipes/derived_tests.h"
#include "recipes/parse_parts.h"
#include "recipes/secrets.h"
#include "recipes/substitution.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_recipe = mebibytes(1);
constexpr std::size_t longest_test_name = 128; // as long as the AMI manifest takes

[[noreturn]] void refuse_size(const fs::path& file)
{
    const Diagnostic diagnostic{{1, 1},
                                "",
                                fmt::format("a recipe has at most {}", to_string(largest_recipe)),
                                "keep large files beside it and name them with `source`"};
    throw RecipeError(file.native(), "", {diagnostic});
}

Base parse_base(TableReader& root)
{
    BootstrapBase base;
    if (auto table = root.require_table("base")) {
        base.distribution = table->require("bootstrap", rules::distribution).value_or("");
        base.suite = table->require("suite", rules::suite).value_or("");
        base.mirror = table->find("mirror", rules::mirror).value_or("");
        table->finish();
    }
    return base;
}

Volume parse_volume(TableReader& table)
{
    Volume volume;
    volume.layout = Volume::Layout::partitions;
    volume.device = table.find("device", rules::device).value_or("/dev/vda");
    volume.size = table.require("size", rules::volume_size).value_or(ByteSize());
    const std::string type = table.require("filesystem", rules::filesystem).value_or("");
    volume.parts.push_back(
        {.name = {}, .size = {}, .filesystem = {.type = type, .mount = "/", .options = {}, .label = {}}});
    volume.delete_on_termination = table.find_flag("delete_on_termination", true);
    table.finish();
    return volume;
}

std::vector<Volume> parse_storage(TableReader& root)
{
    std::vector<Volume> volumes;
    for (TableReader& table : root.require_tables("storage")) {
        if (volumes.empty()) {
            volumes.push_back(parse_volume(table));
        } else {
            table.fail({"an image has one volume, the root volume", "remove this [[storage]] table"});
        }
    }
    return volumes;
}

// Appends `more`, whose names must not be taken.
void add_tests(std::vector<Test>& tests, std::vector<Test> more)
{
    std::set<std::string> names;
    std::ranges::transform(tests, std::inserter(names, names.end()), &Test::name);
    for (Test& test : more) {
        const std::string name = test.name;
        for (int number = 2; !names.insert(test.name).second; ++number) {
            const std::string suffix = fmt::format(" ({})", number);
            test.name = shortened(name, longest_test_name - suffix.size()) + suffix;
        }
        tests.push_back(std::move(test));
    }
}

// The validations of the components come first, since the recipe builds on them.
void add_parts_of(Components& components, Recipe& recipe)
{
    recipe.validations.insert(recipe.validations.begin(), std::make_move_iterator(components.validations().begin()),
                              std::make_move_iterator(components.validations().end()));
    add_tests(recipe.tests, std::move(components.tests()));
    for (Input& input : components.inputs()) {
        if (std::ranges::find(recipe.inputs, input.name, &Input::name) == recipe.inputs.end()) {
            recipe.inputs.push_back(std::move(input));
        }
    }
}

} // namespace

Recipe parse_recipe(std::string_view text, const fs::path& file, const LoadOptions& options)
{
    if (text.size() > largest_recipe.bytes()) {
        refuse_size(file);
    }
    auto document = parse_toml(text);
    if (const auto* syntax_error = std::get_if<Diagnostic>(&document)) {
        throw RecipeError(file.native(), text, {*syntax_error});
    }
    std::vector<Diagnostic> diagnostics;
    TableReader root(std::get<Value>(document), "", diagnostics);
    SourceFiles sources(file.parent_path());

    Parameters parameters = declare_parameters(root);
    set_parameters(parameters, options.parameters, root);
    std::size_t budget = substitution_budget;
    Substitution substitution(parameters, budget);
    substitution.in_document(std::get<Value>(document), diagnostics);
    if (!diagnostics.empty()) {
        throw RecipeError(file.native(), text, std::move(diagnostics)); // what follows from them says nothing
    }
    Components components(file.parent_path(), options.components);
    Secrets secrets(root, file.parent_path());
    secrets.note_uses(std::get<Value>(document), diagnostics);
    std::set<std::string> users;
    Scope scope{.file = file,
                .sources = sources,
                .substitution = substitution,
                .components = components,
                .secrets = secrets,
                .users = users};

    Recipe recipe;
    recipe.file = file;
    recipe.name = root.require("name", rules::image_name).value_or("");
    recipe.version = root.require("version", rules::version).value_or(SemanticVersion());
    recipe.description = root.find("description", rules::description).value_or("");
    recipe.architecture = root.require("architecture", rules::architecture).value_or("");
    recipe.packages = root.find_list("packages", rules::package);
    recipe.base = parse_base(root);
    recipe.volumes = parse_storage(root);
    recipe.steps = parse_steps(root, "step", scope);
    recipe.validations = parse_steps(root, "validate", scope);
    recipe.tests = parse_tests(root);
    add_parts_of(components, recipe);
    secrets.finish();
    recipe.secrets = secrets.all();
    const bool derive = wants_derived_tests(root, recipe);
    root.finish();

    auto errors = std::move(components.errors());
    errors.insert(errors.begin(), {file.native(), std::string(text), std::move(diagnostics)});
    if (std::ranges::any_of(errors, [](const DocumentDiagnostics& of) { return !of.diagnostics.empty(); })) {
        throw RecipeError(std::move(errors));
    }
    if (derive) {
        add_tests(recipe.tests, derive_tests(recipe));
    }
    recipe.digest = digest_of(canonical_json(to_json(recipe)));
    return recipe;
}

Recipe load_recipe(const fs::path& file, const LoadOptions& options)
{
    std::error_code unknown; // read_file says what is wrong with a file that has no size
    const auto size = fs::file_size(file, unknown);
    if (!unknown && size > largest_recipe.bytes()) {
        refuse_size(file);
    }
    return parse_recipe(read_file(file, largest_recipe), file, options);
}

} // namespace kiln::recipes
