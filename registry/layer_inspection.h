// SPDX-License-Identifier: Apache-2.0
// Reads blobs whole and compares them with what their manifest says, on all processors; a signer's layer may name no
// other file either. Private to registry/.
#pragma once

#include "bundle/manifest.h"
#include "bundle/oci.h"
#include "registry/verified_image.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

struct LayerFinding {
    std::optional<std::string> fault; // what is wrong with the blob; none when it is whole
    bool unread = false;              // the record says that it was whole, and it is unchanged since
};

// What is in the blobs: a layer's header is looked at.
enum class BlobContent { layer, other };

// By the digest's hex digits. Each blob is read at most once. `record`, when not null, is told of what was whole, and
// is asked first when `reading` says so.
[[nodiscard]] std::map<std::string, LayerFinding> inspect_layers(const bundle::Layout& layout,
                                                                 const std::vector<bundle::LayerReference>& layers,
                                                                 Reading reading, VerificationRecord* record,
                                                                 BlobContent content = BlobContent::layer);

} // namespace kiln::registry
