// SPDX-License-Identifier: Apache-2.0
// Reads layer blobs whole and compares them with what the manifest says, several at once; a signer's layer
// may name no other file either. Private to registry/.
#pragma once

#include "bundle/manifest.h"
#include "bundle/oci.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

// By the digest's hex digits: what is wrong with the blob, or nullopt when it is whole. Each blob is
// read once; at most as many threads as the machine has processors.
[[nodiscard]] std::map<std::string, std::optional<std::string>>
inspect_layers(const bundle::Layout& layout, const std::vector<bundle::LayerReference>& layers);

} // namespace kiln::registry
