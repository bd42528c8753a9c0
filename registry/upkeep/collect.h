// SPDX-License-Identifier: Apache-2.0
// Region::collect removes the blobs that nothing needs. Needed is what these name: the images of the catalogue, the
// components, the leases of living processes, the caller's own list, entries of the index that are not Kiln's; and of a
// deregistered image the two manifests, which explain its events.
#pragma once

#include "core/byte_size.h"
#include "registry/region.h"

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::registry
{

struct CollectOptions {
    const signing::TrustStore& trust;
    // The layers that instances use, also those of deregistered images. Asked for once nobody can take a lease any
    // more: a launch gives up its lease when its instance is on record. What it throws ends the collection.
    std::function<std::vector<Digest>()> layers_in_use{};
    std::string account{}; // for the audit log
    bool dry_run = false;
    std::stop_token stop{};
};

struct Collected {
    struct Blob {
        Digest digest;
        ByteSize size;
    };
    std::vector<Blob> blobs;                // removed, or with dry_run to be removed
    ByteSize freed;                         // without what has another name on the file system
    std::vector<std::string> index_entries; // digests of manifests that left the index
    std::vector<std::string> leftovers;     // files and folders of killed processes, below the region's folder
    std::size_t kept = 0;                   // blobs that stay
    std::size_t leased = 0;                 // of these, how many only living processes or instances need
};

} // namespace kiln::registry
