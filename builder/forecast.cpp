// SPDX-License-Identifier: Apache-2.0
#include "builder/forecast.h"

#include "builder/layer_stack.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kiln::builder
{
namespace
{

constexpr std::size_t longest_value = 60;
constexpr std::size_t most_reasons = 8;

std::string shown(const Json& inputs, const Json::json_pointer& pointer)
{
    if (!inputs.contains(pointer)) {
        return "absent";
    }
    std::string text = printable(inputs.at(pointer).dump(), false);
    if (text.size() > longest_value) {
        text.resize(longest_value - 3);
        text += "...";
    }
    return text;
}

std::vector<std::string> differences(const Json& before, const Json& now)
{
    std::vector<std::string> reasons;
    for (const Json& change : Json::diff(before, now)) {
        const Json::json_pointer pointer(change.at("path").get<std::string>());
        if (reasons.size() == most_reasons) {
            reasons.emplace_back("and more");
            break;
        }
        reasons.push_back(fmt::format("{}: {} was {}", printable(pointer.to_string().substr(1), false),
                                      shown(now, pointer), shown(before, pointer)));
    }
    return reasons;
}

// What stands in the cache where this layer would stand.
const LayerRecord* find_sibling(const std::vector<LayerRecord>& records, const std::string& below, const Json& kind)
{
    const auto found = std::ranges::find_if(records, [&](const LayerRecord& record) {
        return record.below == below && record.inputs.value("kind", Json()) == kind;
    });
    return found == records.end() ? nullptr : &*found;
}

std::optional<std::chrono::milliseconds> find_cost(const std::vector<LayerRecord>& records, const PlannedLayer& layer)
{
    const auto took = [&](auto same) -> std::optional<std::chrono::milliseconds> {
        const auto found = std::ranges::find_if(records, same);
        return found == records.end() ? std::nullopt : std::optional(found->took);
    };
    if (const auto same = took([&](const LayerRecord& record) { return record.title == layer.title; })) {
        return same;
    }
    const auto kind_of = [](const Json& inputs) {
        return inputs.value("kind", "") + inputs.value("/step/kind"_json_pointer, std::string());
    };
    return took([&](const LayerRecord& record) { return kind_of(record.inputs) == kind_of(layer.inputs); });
}

} // namespace

std::vector<LayerForecast> forecast(LayerCache& cache, const std::vector<PlannedLayer>& plan, const std::string& ground)
{
    const std::vector<CachedLayer> chain = cache.find_chain(wanted_layers(plan), ground);
    const std::vector<LayerRecord> records = cache.records();
    std::vector<LayerForecast> forecasts;
    for (std::size_t i = 0; i < plan.size(); ++i) {
        LayerForecast layer{
            .title = plan[i].title, .id = plan[i].id, .cached = i < chain.size(), .reasons = {}, .cost = {}};
        if (!layer.cached) {
            layer.cost = find_cost(records, plan[i]);
            if (i > chain.size()) {
                layer.reasons.emplace_back("the layer below is made anew");
            } else {
                const std::string below = chain.empty() ? ground : chain.back().record().instance;
                const LayerRecord* sibling = find_sibling(records, below, plan[i].inputs.at("kind"));
                layer.reasons = sibling == nullptr ? std::vector<std::string>{"it was not built before, or evicted"}
                                                   : differences(sibling->inputs, plan[i].inputs);
            }
        }
        forecasts.push_back(std::move(layer));
    }
    return forecasts;
}

} // namespace kiln::builder
