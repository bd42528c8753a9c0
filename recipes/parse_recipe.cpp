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
    recipe.base = parse_base(root);
    recipe.volumes = parse_storage(root);
    recipe.steps = parse_steps(root, sources);
    recipe.tests = parse_tests(root);
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
