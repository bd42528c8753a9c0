// SPDX-License-Identifier: Apache-2.0
// Sets damaged files of a region aside, and puts whole blobs in their places. Private to registry/. The caller holds
// the region's lock.
#pragma once

#include "bundle/oci.h"
#include "core/digest.h"
#include "registry/upkeep/check.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::registry
{

// Moves the file (or whatever has that name) to quarantine/ in the region's folder, durably and under a name that is
// free; returns "quarantine/NAME".
std::string set_aside(const std::filesystem::path& region_folder, const std::filesystem::path& file);

struct Healing {
    bool healed = false;
    std::string told; // "restored from region eu-west", or why no source did
};
// Asks the sources one after the other for a blob that is not there.
[[nodiscard]] Healing restore_blob(const std::filesystem::path& region_folder, const bundle::Layout& layout,
                                   const Digest& digest, const std::vector<BlobSource>& sources);

} // namespace kiln::registry
