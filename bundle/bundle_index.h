// SPDX-License-Identifier: Apache-2.0
// The two small files at the beginning of a bundle. Private to bundle/.
#pragma once

#include "bundle/bundle_file.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::bundle
{

inline constexpr std::string_view blob_folder = "blobs/sha256/";

// The index of a bundle, canonical JSON.
[[nodiscard]] std::string bundle_index(const BundleContents& contents, const std::string& reference);

// What a hostile index names; of the annotations nothing is taken.
struct BundleIndex {
    Descriptor image;
    std::vector<AttachedManifest> attached;
};
// Throws Error{untrusted} unless it has exactly one image, and nothing else but what Kiln attaches to images.
[[nodiscard]] BundleIndex parse_bundle_index(std::string_view bytes);
void require_bundle_layout(std::string_view bytes);

} // namespace kiln::bundle
