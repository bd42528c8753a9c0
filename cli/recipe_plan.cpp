// SPDX-License-Identifier: Apache-2.0
// kiln recipe plan|explain: what `kiln build` would do now, and why.
#include "builder/forecast.h"
#include "builder/plan.h"
#include "cli/context.h"
#include "cli/parameters.h"
#include "cli/parent_image.h"
#include "cli/region_components.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace kiln::cli
{
namespace
{

using builder::LayerForecast;
using std::chrono::milliseconds;

struct Options {
    std::string recipe;
    std::vector<std::string> parameters;
};

std::vector<LayerForecast> forecast(const Context& context, const Options& options)
{
    RegionComponents components(context);
    const recipes::Recipe recipe = recipes::load_recipe(
        options.recipe, {.parameters = parse_parameters(options.parameters), .components = &components});
    const auto lock = builder::find_lock_file(builder::lock_file_of(options.recipe));
    const builder::LockFile* locked = lock ? &*lock : nullptr;
    const auto parent = find_parent(*context.open_region(), recipe, locked, context.trust());
    const auto ground = parent ? std::optional(parent->manifest) : std::nullopt;
    builder::LayerCache cache(context.paths.cache);
    return builder::forecast(cache, builder::plan_layers(recipe, ground, locked), ground ? ground->to_string() : "");
}

std::string cost_of(const LayerForecast& layer)
{
    if (layer.cached) {
        return "-";
    }
    return layer.cost ? human_duration(*layer.cost) : "not known";
}

// One line: "3 of 9 layers are in the cache; the others take about 12.1 s".
std::string summary(const std::vector<LayerForecast>& layers)
{
    const auto cached = std::ranges::count(layers, true, &LayerForecast::cached);
    milliseconds cost{0};
    bool known = true;
    for (const LayerForecast& layer : layers) {
        cost += layer.cached ? milliseconds(0) : layer.cost.value_or(milliseconds(0));
        known = known && (layer.cached || layer.cost);
    }
    const bool all = static_cast<std::size_t>(cached) == layers.size();
    return fmt::format("{} of {} layers are in the cache{}\n", cached, layers.size(),
                       all     ? "; a build does no guest work"
                       : known ? fmt::format("; the others take about {}", human_duration(cost))
                               : fmt::format("; the others take {} and what is not known", human_duration(cost)));
}

Json to_json(const std::vector<LayerForecast>& layers)
{
    Json json = Json::array();
    for (const LayerForecast& layer : layers) {
        json.push_back({{"title", layer.title},
                        {"id", layer.id.to_string()},
                        {"cached", layer.cached},
                        {"reasons", layer.reasons},
                        {"cost_ms", layer.cost && !layer.cached ? Json(layer.cost->count()) : Json()}});
    }
    return json;
}

void plan(const Context& context, const Options& options)
{
    const std::vector<LayerForecast> layers = forecast(context, options);
    std::vector<std::vector<std::string>> rows = {{"CACHE", "COST", "LAYER"}};
    for (const LayerForecast& layer : layers) {
        rows.push_back({layer.cached ? "hit" : "miss", cost_of(layer), printable(layer.title, false)});
    }
    print_result(context, to_json(layers), table(rows) + summary(layers));
}

void explain(const Context& context, const Options& options)
{
    const std::vector<LayerForecast> layers = forecast(context, options);
    std::string text;
    for (const LayerForecast& layer : layers) {
        text += fmt::format("{:<4}  {}\n", layer.cached ? "hit" : "miss", printable(layer.title, false));
        for (const std::string& reason : layer.reasons) {
            text += fmt::format("      {}\n", reason);
        }
    }
    print_result(context, to_json(layers), text + summary(layers));
}

void add(CLI::App& recipe, Context& context, const char* name, const char* description,
         void (*show)(const Context&, const Options&))
{
    CLI::App* command = recipe.add_subcommand(name, description);
    auto options = std::make_shared<Options>();
    command->add_option("recipe", options->recipe, "The recipe, a TOML file (docs/recipe.md)")
        ->required()
        ->type_name("RECIPE");
    add_parameters(*command, options->parameters);
    on_run_in_region(*command, context, [&context, options, show] { show(context, *options); });
}

} // namespace

void add_recipe_plan(CLI::App& recipe, Context& context)
{
    add(recipe, context, "plan", "Which layers a build takes from the cache, and what the others cost", plan);
    add(recipe, context, "explain", "Which changed input makes a build make a layer anew", explain);
}

} // namespace kiln::cli
