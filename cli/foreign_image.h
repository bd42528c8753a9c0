// SPDX-License-Identifier: Apache-2.0
// Somebody else's disk image into an AMI of the region: what `kiln build` does for a recipe that has a `disk` base and
// nothing else.
#pragma once

#include "cli/context.h"
#include "core/progress.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::cli
{

// As it was asked for; what is empty has a default but for the file, the architecture and the boot mode.
struct ForeignImage {
    std::filesystem::path file{};
    std::string architecture{};
    std::string boot_mode{};
    std::string format{};  // "qcow2", "raw", "vmdk"; by default what the file's name ends with
    std::string sha256{};  // by default the one that it has
    std::string name{};    // by default the file's
    std::string version{}; // "1.0.0"
    std::string description{};
};

// What its name says: of no meaning until its header was checked. nullopt for other names, also ".img", which all kinds
// have.
[[nodiscard]] std::optional<std::string_view> disk_format_of(const std::filesystem::path& file);

// Checks the disk (builder/foreign_disk.h), has libguestfs inspect and seal it, and publishes. Throws Error{usage,
// conflict} before any work, Error{untrusted} for a hostile file, and what a build throws.
[[nodiscard]] registry::Image import_foreign_image(const Context& context, const ForeignImage& wanted,
                                                   Progress& progress);

} // namespace kiln::cli
