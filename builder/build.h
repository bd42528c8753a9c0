// SPDX-License-Identifier: Apache-2.0
// The two ways to a DiskSet: from a recipe, and from the copied disks of a running instance.
#pragma once

#include "builder/disk_set.h"
#include "core/accelerator.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <stop_token>
#include <vector>

namespace kiln::builder
{

struct BuildOptions {
    Accelerator accelerator = Accelerator::tcg;
    std::filesystem::path work;    // a private folder; the layers end up in it
    std::filesystem::path sockets; // a private folder with a short path (UNIX sockets: 108 bytes)
};

// Recipe -> disks: packages, partitions, bootloader, steps, sealing, inspection, layer. Throws what
// the parts throw (see debian_bootstrap.h, appliance.h, steps.h); the caller drops the work folder.
[[nodiscard]] DiskSet build(const recipes::Recipe& recipe, const BuildOptions& options, Progress& progress,
                            const std::stop_token& stop);

// A point-in-time copy of one disk, as the launcher took it.
struct DiskCopy {
    std::string device;
    ByteSize size;
    std::string filesystem;
    std::string mount;
    bool delete_on_termination = true;
    std::vector<std::filesystem::path> layers; // bottom first
    std::filesystem::path delta;               // edited in place
};

// Copies -> sealed disks. The root disk comes first.
[[nodiscard]] DiskSet seal_copies(const std::vector<DiskCopy>& copies, const BuildOptions& options, Progress& progress,
                                  const std::stop_token& stop);

} // namespace kiln::builder
