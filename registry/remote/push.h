// SPDX-License-Identifier: Apache-2.0
// An image goes to a remote registry: blobs, then manifests by their digests, then what is attached, and last the tag.
// What is there already is not sent again.
#pragma once

#include "registry/artifact.h"
#include "registry/bundle_transfer.h"
#include "registry/change.h"
#include "registry/remote/remote_options.h"
#include "registry/remote/remote_reference.h"
#include "registry/verified_image.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry::remote
{

struct TypedArtifact {
    std::string_view type;
    Artifact artifact;
};

struct Pushed {
    RemoteReference reference; // with the tag
    ByteSize sent;             // of blobs
    ByteSize present;          // of blobs that were there
    // Whether there is a signature for cosign and skopeo; if not, why.
    bool for_cosign = false;
    std::string without_cosign{};
    bool by_tag = false; // what is attached is found by a tag, as the registry has no referrers API
};

// Without a tag in `reference`, its tag is NAME-VERSION-ARCHITECTURE, and one that names another image is refused as
// Error{conflict}; a tag that the caller gives is moved. The signer is the calling account: what the image's owner
// pushes also gets its signature for cosign, and the launch permission as it is now. Throws Error{usage} for a digest
// in the reference, and the errors of failure.h.
// `artifacts` of the image go along; their files are read from the region as they are.
[[nodiscard]] Pushed push_image(const Region& region, const VerifiedImage& image, const RemoteReference& reference,
                                const RemoteOptions& options, const Signer& signer, const Transfer& transfer,
                                const std::vector<TypedArtifact>& artifacts = {});

} // namespace kiln::registry::remote
