// SPDX-License-Identifier: Apache-2.0
// What a remote registry says is attached to an image: by the referrers API, or where it has none, by the index under
// the tag sha256-HEX (OCI distribution specification 1.1, "Referrers Tag Schema"). All of it is hostile.
#pragma once

#include "bundle/document_set.h"
#include "core/json.h"
#include "registry/remote/remote_client.h"

#include <string>
#include <vector>

namespace kiln::registry::remote
{

struct Referrers {
    Json entries = Json::array(); // all of them, as they came
    bool by_tag = true;           // the registry has no referrers API

    // Those with a digest, a size and an artifact type, in their order.
    [[nodiscard]] std::vector<bundle::AttachedManifest> manifests() const;
};

[[nodiscard]] std::string fallback_tag(const Digest& subject);

// Throws Error{network} for an answer that is no index.
[[nodiscard]] Referrers read_referrers(RemoteClient& client, const RemoteReference& reference, const Digest& subject);

// The envelopes of the newest of those that say who may launch the image, unverified; what is none is left out.
[[nodiscard]] std::vector<std::string> read_launch_statements(RemoteClient& client,
                                                              std::vector<bundle::AttachedManifest> attached);

// The bytes of an index with those entries.
[[nodiscard]] std::string referrers_index(const Json& entries);

} // namespace kiln::registry::remote
