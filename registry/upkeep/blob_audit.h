// SPDX-License-Identifier: Apache-2.0
// Reads every file in a region's blob folder and compares its content with its name. Private to registry/.
#pragma once

#include "bundle/oci.h"
#include "core/byte_size.h"
#include "core/digest.h"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::registry
{

struct BlobAudit {
    struct Blob {
        ByteSize size;
        std::optional<std::string> fault; // nullopt: it is whole
    };
    std::map<Digest, Blob> blobs;
    std::vector<std::string> strays; // names of what is no blob at all
    ByteSize bytes;
};

// As many threads as the machine has processors. `progress` comes from one thread at a time. A blob that a collector
// removes meanwhile is left out. Throws Error{io, interrupted}.
[[nodiscard]] BlobAudit audit_blobs(const bundle::Layout& layout,
                                    const std::function<void(ByteSize done, ByteSize total)>& progress,
                                    const std::stop_token& stop);

// What is wrong with one blob's file; nullopt when it is whole.
[[nodiscard]] std::optional<std::string> fault_of_blob(const std::filesystem::path& file, const Digest& digest);

} // namespace kiln::registry
