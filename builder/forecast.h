// SPDX-License-Identifier: Apache-2.0
// What a build would do now: which layers it takes from the cache, why it makes the others, what that is
// likely to take. Changes nothing.
#pragma once

#include "builder/layer_cache.h"
#include "builder/plan.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct LayerForecast {
    std::string title;
    Digest id;
    bool cached = false;
    // Of one that is made: "step/content/digest: \"sha256:ab..\" was \"sha256:cd..\"", a line each.
    std::vector<std::string> reasons;
    // How long the same layer, or else the last one of its kind, took to make; none when there was none.
    std::optional<std::chrono::milliseconds> cost;
};

// `ground` as of LayerStack.
[[nodiscard]] std::vector<LayerForecast> forecast(LayerCache& cache, const std::vector<PlannedLayer>& plan,
                                                  const std::string& ground);

} // namespace kiln::builder
