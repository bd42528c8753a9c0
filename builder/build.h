// SPDX-License-Identifier: Apache-2.0
// From a recipe to a DiskSet. What earlier builds made of the same inputs is taken from the layer cache.
#pragma once

#include "builder/appliance.h"
#include "builder/disk_set.h"
#include "builder/lock_file.h"
#include "core/accelerator.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

// The AMI that a recipe starts from, verified by the caller.
struct ParentImage {
    struct ParentVolume {
        std::string device;
        ByteSize size;
        std::vector<std::filesystem::path> layers; // bottom first
    };
    Digest manifest; // of its OCI manifest
    std::vector<ParentVolume> volumes;
};

struct BuildOptions {
    std::filesystem::path kiln; // this program, to be started for what is made beside the build
    Accelerator accelerator = Accelerator::tcg;
    std::filesystem::path work;          // a private folder; the layers end up in it
    std::filesystem::path sockets;       // a private folder with a short path (UNIX sockets: 108 bytes)
    std::filesystem::path cache;         // the layer cache's folder, on the work folder's file system
    std::filesystem::path logs;          // a private folder for a file a step
    bool look_up = true;                 // false: every layer is made anew
    std::optional<ParentImage> parent{}; // exactly for a recipe whose base is an AMI
    std::optional<LockFile> lock{};      // what the build has to keep to, or Error{package}
    // Called where a step failed, with the system as it left it, still mounted.
    std::function<void(Appliance&, const Error&)> on_failed_step{};
};

// Recipe -> disks: packages, partitions, bootloader, steps, sealing, inspection, layers. Each layer that is
// finished is in the cache at once, so the next build goes on after the last one. Throws what
// the parts throw (see debian_bootstrap.h, appliance.h, steps.h); the caller drops the work folder.
[[nodiscard]] DiskSet build(recipes::Recipe recipe, BuildOptions options, Progress& progress,
                            const std::stop_token& stop);

} // namespace kiln::builder
