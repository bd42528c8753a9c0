// SPDX-License-Identifier: Apache-2.0
// The file systems of a recipe's volumes: made once, opened and mounted in each appliance.
#pragma once

#include "builder/appliance.h"
#include "builder/disk_layout.h"
#include "core/json.h"
#include "recipes/recipe.h"

#include <cstddef>
#include <string>
#include <vector>

namespace kiln::builder
{

// Where the volumes of a recipe are among the appliance's disks, and what is on them already.
struct StorageSite {
    std::size_t first_disk = 0;  // of the recipe's; those before are the base's
    bool root_is_filled = false; // the root file system is in its place, without a partition table around it
};

// What decides the result, besides the recipe's volumes.
[[nodiscard]] Json storage_configuration();

// Partition tables and the root file system: what must be there before the root can be mounted.
void create_root(Appliance& appliance, const recipes::Recipe& recipe, const StorageSite& site);

// The other file systems, with the root mounted: content that the root has at a mount point moves there. Adds
// them to the guest's fstab and crypttab. Nothing but the root is mounted afterwards.
void create_data(Appliance& appliance, const recipes::Recipe& recipe, const StorageSite& site);

// Mounts the root and all else that the recipe's volumes hold.
void mount_storage(Appliance& appliance, const recipes::Recipe& recipe);

// Mounts a system of which only the guest itself tells what is where, as find_whole_system() found it; then the
// recipe's volumes.
void mount_found_system(Appliance& appliance, const std::vector<Mountpoint>& system, const recipes::Recipe* recipe,
                        std::size_t first_disk);

// The packages with the programs that a guest needs for these volumes.
[[nodiscard]] std::vector<std::string> storage_packages(const recipes::Recipe& recipe);

} // namespace kiln::builder
