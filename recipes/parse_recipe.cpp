// SPDX-License-Identifier: Apache-2.0
// TOML -> Recipe. Nothing is returned unless everything is right.
#include "recipes/recipe.h"

#include "core/files.h"
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_recipe = mebibytes(1);

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
    return base != nullptr && base->name == recipe.name && base->version.patch && base->version.matches(recipe.version);
}

} // namespace

Recipe parse_recipe(std::string_view text, const fs::path& file, const LoadOptions& /*options*/)
{
    if (text.size() > largest_recipe.bytes()) {
        refuse_size(file);
    }
    const auto document = parse_toml(text);
    if (const auto* syntax_error = std::get_if<Diagnostic>(&document)) {
        throw RecipeError(file.native(), text, {*syntax_error});
    }
    std::vector<Diagnostic> diagnostics;
    TableReader root(std::get<Value>(document), "", diagnostics);
    SourceFiles sources(file.parent_path());

    Recipe recipe;
    recipe.file = file;
    recipe.name = root.require("name", rules::image_name).value_or("");
    recipe.version = root.require("version", rules::version).value_or(SemanticVersion());
    recipe.description = root.find("description", rules::description).value_or("");
    recipe.architecture = root.require("architecture", rules::architecture).value_or("");
    recipe.packages = root.find_list("packages", rules::package);
    recipe.base = parse_base(root, sources);
    const bool has_parent = root.has_child("base", "ami") || root.has_child("base", "disk");
    recipe.boot = parse_boot(root);
    recipe.volumes = parse_storage(root, has_parent, recipe.boot);
    recipe.steps = parse_steps(root, sources, file);
    recipe.tests = parse_tests(root);
    recipe.launch = parse_launch(root);
    recipe.keep = parse_keep(root);
    recipe.inputs = sources.inputs();
    if (is_its_own_parent(recipe)) {
        root.fail("base", {"the image would be made from itself", "raise `version`, or name an earlier version"});
    }
    root.finish();

    if (!diagnostics.empty()) {
        throw RecipeError(file.native(), text, std::move(diagnostics));
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
