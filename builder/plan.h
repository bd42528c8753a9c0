// SPDX-License-Identifier: Apache-2.0
// What a build consists of: layers in order, each one with an id that is a digest of everything that
// decides its content. Pure: nothing is looked up or run.
#pragma once

#include "builder/lock_file.h"
#include "core/digest.h"
#include "core/json.h"
#include "recipes/recipe.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct PlannedLayer {
    enum class Kind {
        bootstrap, // packages -> root file system
        rootfs,    // a tar or an OCI image, or packages where the root is not ext4 -> root file system
        disk,      // another system's disk
        boot,      // partition tables, file systems, fstab, bootloader
        storage,   // the volumes that a recipe adds to its base
        step,      // one step of the recipe
        seal,      // what belongs to one build or machine goes; the rest is merged into the AMI's own layer
    };
    Kind kind = Kind::step;
    std::string title;                   // "bootstrap debian bookworm", "file /etc/motd"
    std::optional<recipes::Step> step{}; // of Kind::step
    Json inputs;                         // what decides the content, but the layers below
    Digest id;                           // of the inputs and the layer below's id

    std::string lock_name{};                 // of one that installs packages: what a lock file calls it
    std::optional<LockFile::Layer> locked{}; // its packages, where there is a lock file; they are among the inputs
    std::optional<Digest> id_without_lock{}; // where that is another one
};

// `parent` is the manifest's digest of the AMI that the recipe starts from, where it does. With a `lock`, throws
// Error{package} when the recipe, its files or its parent are not those that were locked.
[[nodiscard]] std::vector<PlannedLayer> plan_layers(const recipes::Recipe& recipe, const std::optional<Digest>& parent,
                                                    const LockFile* lock = nullptr);

} // namespace kiln::builder
