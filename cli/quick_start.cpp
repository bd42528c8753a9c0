// SPDX-License-Identifier: Apache-2.0
#include "cli/quick_start.h"

#include "cli/build.h"
#include "cli/region_components.h"
#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <unistd.h>

namespace kiln::cli
{
namespace fs = std::filesystem;
namespace
{

// Installed, it is beside the other data; in the source tree, in recipes/.
fs::path library_folder()
{
    try {
        return find_data_file("recipes/library");
    } catch (const Error&) {
        return find_data_file("library");
    }
}

std::optional<QuickStart> read_quick_start(const Context& context, const fs::path& file)
{
    try {
        RegionComponents components(context);
        const recipes::Recipe recipe = recipes::load_recipe(file, {.parameters = {}, .components = &components});
        return QuickStart{.name = recipe.name,
                          .version = recipe.version_text(),
                          .architecture = recipe.architecture,
                          .description = recipe.description,
                          .recipe = file};
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool agreed(const QuickStart& found, const std::string& region)
{
    fmt::print(stderr, "There is no image {} in region {} yet. Build {} {} from {}?\nThat takes minutes. [y/N] ",
               found.name, region, found.name, found.version, found.recipe.native());
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

} // namespace

std::vector<QuickStart> quick_starts(const Context& context)
{
    std::vector<QuickStart> all;
    for (const fs::directory_entry& entry : fs::directory_iterator(library_folder())) {
        if (entry.path().extension() != ".toml") {
            continue;
        }
        if (auto one = read_quick_start(context, entry.path())) {
            all.push_back(*std::move(one));
        }
    }
    std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) { return left.name < right.name; });
    return all;
}

void build_on_first_use(Context& context, const std::string& reference, bool yes, Progress& progress)
{
    if (!bundle::is_image_name(reference) ||
        !context.open_region()->images({.filters = {{"name", {reference}}}}).empty()) {
        return;
    }
    const std::vector<QuickStart> all = quick_starts(context);
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const QuickStart& one) { return one.name == reference; });
    if (found == all.end()) {
        return; // resolving it will say so
    }
    const bool terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
    if (!yes && (!terminal || !agreed(*found, context.region))) {
        throw Error(
            ErrorKind::not_found,
            fmt::format("there is no image {} in region {} yet, and it was not to be built", reference, context.region),
            fmt::format("`kiln run {} --yes` builds it first, from {}", reference, found->recipe.native()));
    }
    static_cast<void>(build_recipe(context, {.recipe = found->recipe}, progress));
}

} // namespace kiln::cli
