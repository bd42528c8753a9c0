// SPDX-License-Identifier: Apache-2.0
// Debian packages -> an ext4 root file system inside the disk file, at native speed: mmdebstrap
// unpacks them on the host (in a user namespace where that works) and `mke2fs -d` writes the tree
// straight to the root partition's place. Nothing is streamed through the appliance.
#pragma once

#include "builder/lock_file.h"
#include "core/error.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// What a bootable image needs beyond the recipe's packages; a kernel only when it names none.
[[nodiscard]] std::vector<std::string> packages_to_install(const recipes::Recipe& recipe);

// Writes the root file system with `filesystem_uuid` into `disk`, an existing sparse raw file of the
// root volume's size. Returns what it installed, with the digests of the archive's signed index. With `locked` these
// are the locked packages. Throws Error{package} for packages that don't exist, don't install, or are not the locked
// ones, {network}, {no_space}, {recipe} when the volume is too small, {missing_tool}, {interrupted}.
[[nodiscard]] std::vector<InstalledPackage> bootstrap_debian(const recipes::Recipe& recipe,
                                                             const std::optional<LockFile::Layer>& locked,
                                                             const std::filesystem::path& disk,
                                                             const std::string& filesystem_uuid, Progress& progress,
                                                             const std::stop_token& stop);

// The same as the new file `tar`, uncompressed, for another file system than ext4.
[[nodiscard]] std::vector<InstalledPackage> bootstrap_debian_tar(const recipes::Recipe& recipe,
                                                                 const std::optional<LockFile::Layer>& locked,
                                                                 const std::filesystem::path& tar, Progress& progress,
                                                                 const std::stop_token& stop);

// The error that mmdebstrap's log tells of. Exposed for its tests.
[[nodiscard]] Error explain_bootstrap_failure(std::string_view log, const recipes::Recipe& recipe);

} // namespace kiln::builder
