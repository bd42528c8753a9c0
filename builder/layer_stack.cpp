// SPDX-License-Identifier: Apache-2.0
#include "builder/layer_stack.h"

#include "core/interrupt.h"

#include <algorithm>
#include <iterator>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;

LayerStack::LayerStack(LayerCache& cache, const std::vector<PlannedLayer>& plan, std::string ground, bool look_up)
    : cache_(cache), plan_(plan), ground_(std::move(ground)), look_up_(look_up)
{
}

void LayerStack::find(Progress& progress, const std::stop_token& stop)
{
    if (!look_up_) {
        return;
    }
    std::vector<Digest> ids;
    std::ranges::transform(plan_, std::back_inserter(ids), &PlannedLayer::id);
    for (bool told = false;;) {
        throw_if_interrupted(stop);
        layers_ = cache_.find_chain(ids, ground_);
        if (complete()) {
            return;
        }
        const PlannedLayer& next = plan_[size()];
        making_ = cache_.try_lock_making(next.id);
        if (making_) {
            // Whoever had it may have stored it just before.
            const std::size_t found = size();
            layers_ = cache_.find_chain(ids, ground_);
            if (size() == found) {
                return;
            }
            continue;
        }
        if (!std::exchange(told, true)) {
            progress.note("waiting for another build, which makes the same: " + next.title);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

std::vector<fs::path> LayerStack::files(std::size_t disk) const
{
    std::vector<fs::path> files;
    for (const CachedLayer& layer : layers_) {
        if (fs::exists(layer.disk(disk))) {
            files.push_back(layer.disk(disk));
        }
    }
    return files;
}

void LayerStack::add(const std::vector<fs::path>& files, Json facts, std::chrono::milliseconds took)
{
    const PlannedLayer& made = plan_.at(size());
    // The next right before this layer is seen and before its right goes, so that who waits goes on waiting. Where
    // another build has it already, both make that layer.
    std::optional<FileDescriptor> next;
    if (look_up_ && size() + 1 < plan_.size()) {
        next = cache_.try_lock_making(plan_[size() + 1].id);
    }
    layers_.push_back(cache_.store({.id = made.id,
                                    .instance = {},
                                    .below = layers_.empty() ? ground_ : layers_.back().record().instance,
                                    .title = made.title,
                                    .inputs = made.inputs,
                                    .facts = std::move(facts),
                                    .took = took},
                                   files));
    making_ = std::move(next);
}

} // namespace kiln::builder
