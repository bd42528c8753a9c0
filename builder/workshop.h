// SPDX-License-Identifier: Apache-2.0
// Makes the layers of a build that no earlier one left in the cache: the lowest natively, where it is
// packages or a disk, all others in one appliance, with a layer cut after each.
#pragma once

#include "builder/appliance.h"
#include "builder/apt_installer.h"
#include "builder/block_server.h"
#include "builder/build.h"
#include "builder/compression.h"
#include "builder/layer_stack.h"
#include "builder/plan.h"
#include "builder/secrets.h"
#include "builder/storage.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <vector>

namespace kiln::builder
{

class Workshop
{
public:
    // All must outlive it.
    Workshop(const recipes::Recipe& recipe, const std::vector<PlannedLayer>& plan, LayerStack& layers,
             const BuildOptions& options, Progress& progress, const std::stop_token& stop);

    // Throws what the parts throw. Layers that were finished before are in the cache.
    void make_missing_layers();

private:
    [[nodiscard]] std::size_t first_own_disk() const; // of the recipe's volumes; the base's come before
    [[nodiscard]] std::vector<DiskChain> chains();
    [[nodiscard]] std::vector<std::filesystem::path> next_overlays();
    [[nodiscard]] bool network_from(std::size_t index) const;

    void bootstrap();
    void import();
    void store_base();
    void make_bootable(Appliance& appliance, const StorageSite& site);
    void make(std::size_t index, Appliance& appliance, BlockServer& server);
    [[nodiscard]] const std::vector<Mountpoint>& base_system(Appliance& appliance);
    void mount(std::size_t index, Appliance& appliance);
    void carry_out(std::size_t index, Appliance& appliance);
    void apply(const recipes::Step& step, const std::filesystem::path& log, Appliance& appliance);
    [[nodiscard]] Json seal_system(Appliance& appliance);
    void validate(Appliance& appliance);
    void finish(Appliance& appliance, BlockServer& server, std::chrono::steady_clock::time_point begun);

    const recipes::Recipe& recipe_;
    const Secrets secrets_;
    const std::vector<PlannedLayer>& plan_;
    LayerStack& layers_;
    const BuildOptions& options_;
    Progress& progress_;
    const std::stop_token& stop_;
    AptInstaller installer_;

    int overlays_ = 0;
    std::size_t disks_ = 0;
    std::optional<std::filesystem::path> raw_; // the root disk with a base that this build made
    std::chrono::milliseconds base_took_{0};
    std::vector<InstalledPackage> base_packages_; // of that disk
    std::vector<InstalledPackage> installed_;     // by the layer that is being made
    std::optional<Compression> compression_;
    std::optional<std::vector<Mountpoint>> base_system_;
};

// The size of the disk that a recipe with a `disk` base took in, from its layer's record.
[[nodiscard]] ByteSize imported_size(const LayerRecord& record);

// How many files below the merged layer of each disk are layers of their own: the parent's, as far as they are kept
// (chain.h), or the base's.
[[nodiscard]] std::size_t layers_below(const std::vector<PlannedLayer>& plan, const BuildOptions& options,
                                       std::size_t disk);

} // namespace kiln::builder
