// SPDX-License-Identifier: Apache-2.0
// The cached layers that one build stands on, lowest first: those that it finds, then those that it
// makes. Builds that need the same layer at the same time make it once: the others wait for it.
#pragma once

#include "builder/layer_cache.h"
#include "builder/plan.h"
#include "core/progress.h"

#include <stop_token>
#include <vector>

namespace kiln::builder
{

// A layer that an earlier build made without a lock file does as well, when its packages are the locked ones.
[[nodiscard]] std::vector<WantedLayer> wanted_layers(const std::vector<PlannedLayer>& plan);

class LayerStack
{
public:
    // `ground` is what the lowest layer stands on. Without `look_up` every layer is made anew, and stored.
    LayerStack(LayerCache& cache, const std::vector<PlannedLayer>& plan, std::string ground, bool look_up);

    // Finds what there is, and takes the right to make what comes next; waits while another build makes
    // it. Throws Error{interrupted}.
    void find(Progress& progress, const std::stop_token& stop);

    [[nodiscard]] std::size_t size() const noexcept { return layers_.size(); }
    [[nodiscard]] bool complete() const noexcept { return layers_.size() == plan_.size(); }
    [[nodiscard]] const CachedLayer& at(std::size_t index) const { return layers_.at(index); }
    // The overlays of one disk, lowest first. Not every layer has one: a base has but the root disk.
    [[nodiscard]] std::vector<std::filesystem::path> files(std::size_t disk) const;

    // Stores the next layer, which is in these files, one a disk, and takes the right to make the one after.
    void add(const std::vector<std::filesystem::path>& files, Json facts, std::chrono::milliseconds took);
    // All of them outlive a loss of power from now on.
    void make_durable() { cache_.make_durable(layers_); }

private:
    LayerCache& cache_;
    const std::vector<PlannedLayer>& plan_;
    std::string ground_;
    bool look_up_;
    std::vector<CachedLayer> layers_;
    std::optional<FileDescriptor> making_;
};

} // namespace kiln::builder
