// SPDX-License-Identifier: Apache-2.0
#include "builder/layer_stack.h"

#include "core/interrupt.h"

#include <algorithm>
#include <iterator>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

bool has_packages(const LayerRecord& record, const LockFile::Layer& locked)
{
    const auto packages = record.facts.find("packages");
    return packages != record.facts.end() &&
           differences(locked, {locked.step, installed_packages_from_json(*packages)}).empty();
}

} // namespace

std::vector<WantedLayer> wanted_layers(const std::vector<PlannedLayer>& plan)
{
    std::vector<WantedLayer> wanted;
    for (const PlannedLayer& layer : plan) {
        WantedLayer next{.ids = {layer.id}};
        if (layer.id_without_lock) {
            next.ids.push_back(*layer.id_without_lock);
        }
        if (layer.locked) {
            next.fits = [locked = *layer.locked](const LayerRecord& record) { return has_packages(record, locked); };
        }
        wanted.push_back(std::move(next));
    }
    return wanted;
}

LayerStack::LayerStack(LayerCache& cache, const std::vector<PlannedLayer>& plan, std::string ground, bool look_up)
    : cache_(cache), plan_(plan), ground_(std::move(ground)), look_up_(look_up)
{
}

void LayerStack::find(Progress& progress, const std::stop_token& stop)
{
    if (!look_up_) {
        return;
    }
    const std::vector<WantedLayer> wanted = wanted_layers(plan_);
    for (bool told = false;;) {
        throw_if_interrupted(stop);
        layers_ = cache_.find_chain(wanted, ground_);
        if (complete()) {
            return;
        }
        const PlannedLayer& next = plan_[size()];
        making_ = cache_.try_lock_making(next.id);
        if (making_) {
            // Whoever had it may have stored it just before.
            const std::size_t found = size();
            layers_ = cache_.find_chain(wanted, ground_);
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
