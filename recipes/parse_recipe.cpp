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

// A wildcard may mean an earlier version; this one can only mean the image that is being made.
bool is_its_own_parent(const Recipe& recipe)
{
    const auto* base = std::get_if<AmiBase>(&recipe.base);
    return base != nullptr && base->name == recipe.name && !recipe.next_patch && base->version.patch &&
           base->version.matches(recipe.version);
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
    std::set<std::pair<std::string, std::string>> made;
    Scope scope{.file = file,
                .sources = sources,
                .substitution = substitution,
                .components = components,
                .secrets = secrets,
                .made = made};

    Recipe recipe;
    recipe.file = file;
    recipe.name = root.require("name", rules::image_name).value_or("");
    const auto version = root.require("version", rules::image_version).value_or(VersionPattern());
    recipe.version = {version.major.value_or(0), version.minor.value_or(0), version.patch.value_or(0)};
    recipe.next_patch = !version.patch;
    recipe.description = root.find("description", rules::description).value_or("");
    recipe.architecture = root.require("architecture", rules::architecture).value_or("");
    recipe.packages = root.find_list("packages", rules::package);
    recipe.base = parse_base(root, sources);
    const bool has_parent = root.has_child("base", "ami") || root.has_child("base", "disk");
    recipe.boot = parse_boot(root);
    recipe.volumes = parse_storage(root, has_parent, recipe.boot);
    recipe.steps = parse_steps(root, "step", scope);
    recipe.validations = parse_steps(root, "validate", scope);
    recipe.tests = parse_tests(root);
    recipe.launch = parse_launch(root);
    recipe.keep = parse_keep(root);
    recipe.inputs = sources.inputs();
    add_parts_of(components, recipe);
    secrets.finish();
    recipe.secrets = secrets.all();
    const bool derive = wants_derived_tests(root, recipe);
    if (is_its_own_parent(recipe)) {
        root.fail("base", {"the image would be made from itself", "raise `version`, or name an earlier version"});
    }
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
