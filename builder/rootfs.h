// SPDX-License-Identifier: Apache-2.0
// The root file system of a base that is one tar in the end: a `rootfs`, or a bootstrap whose root is not ext4.
#pragma once

#include "builder/appliance.h"
#include "builder/lock_file.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <vector>

namespace kiln::builder
{

// Writes the new file `tar`. What is read is a private copy beside it with the recipe's digest. Throws
// Error{untrusted} for another digest and for what is refused (safe_tar.h, oci_rootfs.h); Error{not_found, io,
// no_space, interrupted}. Leaves nothing behind when it throws.
void write_rootfs_tar(const recipes::RootfsBase& base, const std::filesystem::path& tar, const std::stop_token& stop);

// Partitions the root volume, the appliance's first disk, and unpacks there what the recipe's base holds. `work` is
// the build's own folder. Mounts the root, and nothing else. Returns what a bootstrap installed, `locked` as there;
// throws also what bootstrap_debian() throws.
[[nodiscard]] std::vector<InstalledPackage> fill_root(Appliance& appliance, const recipes::Recipe& recipe,
                                                      const std::optional<LockFile::Layer>& locked,
                                                      const std::filesystem::path& work, Progress& progress,
                                                      const std::stop_token& stop);

} // namespace kiln::builder
