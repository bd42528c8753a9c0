// SPDX-License-Identifier: Apache-2.0
// What index.json ought to have, from the catalogue and the blobs themselves. Private to registry/.
#pragma once

#include "registry/upkeep/blob_audit.h"
#include "registry/upkeep/needs.h"

#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

struct IndexState {
    std::optional<std::string> unreadable; // why; nullopt: it is an index
    std::vector<IndexEntry> entries;       // what it has
    std::vector<IndexEntry> missing;       // what it lacks
    std::vector<std::string> lacks;        // for a person: "web 1.0.0 (ami-...)", "2 attachments of ..."
    std::vector<Digest> senseless;         // entries for blobs that are no manifests
};

// Adds to `needs`, which has the images, all that the index and the blobs say besides. Where the index lost images, or
// can't be read, its components are looked for as well: a key that is trusted for their owner must have signed them.
[[nodiscard]] IndexState examine_index(Needs& needs, const bundle::Layout& layout, const std::vector<Image>& images,
                                       const BlobAudit& audit, const signing::TrustStore& trust);

// What it should have, in the order that it has.
[[nodiscard]] Json repaired_entries(const IndexState& state);

} // namespace kiln::registry
