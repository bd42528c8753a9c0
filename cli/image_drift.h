// SPDX-License-Identifier: Apache-2.0
// The differences of two AMIs of a region, for `kiln image diff`, snapshots and recipes.
#pragma once

#include "builder/diff/image_diff.h"
#include "bundle/drift.h"
#include "cli/context.h"
#include "cli/work_folders.h"
#include "registry/verified_image.h"

#include <string>
#include <vector>

namespace kiln::cli
{

// An AMI whose disks may be read: its signature and digests hold. Also a deregistered or disabled one.
struct ReadableImage {
    registry::Image image;
    bundle::Manifest manifest;
    std::vector<builder::ImageDisk> disks; // the root disk first
    registry::Lease lease;                 // its layers stay
};
[[nodiscard]] ReadableImage readable_image(const Context& context, const registry::Region& region,
                                           const std::string& reference);

// The disks that a manifest of the region names.
[[nodiscard]] std::vector<builder::ImageDisk> disks_of(const registry::Region& region,
                                                       const bundle::Manifest& manifest);

[[nodiscard]] builder::ImageDiff diff_disks(const Context& context, const WorkFolders& work,
                                            const std::vector<builder::ImageDisk>& before,
                                            const std::vector<builder::ImageDisk>& after, Progress& progress);

// What of it a manifest keeps.
[[nodiscard]] bundle::Drift drift_of(const builder::ImageDiff& diff);

// For people, a line each.
[[nodiscard]] std::string diff_text(const builder::ImageDiff& diff, bool all_files);

} // namespace kiln::cli
