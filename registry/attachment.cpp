// SPDX-License-Identifier: Apache-2.0
// Region::attachment: a document about an image, believed only when the image's owner signed it.
#include "core/error.h"
#include "core/text.h"
#include "registry/predicate_type.h"
#include "registry/region.h"
#include "signing/attestation.h"

#include <fmt/format.h>

namespace kiln::registry
{

std::string_view predicate_type_of(std::string_view artifact_type)
{
    if (artifact_type == bundle::sbom_artifact_type) {
        return "https://spdx.dev/Document/v2.3";
    }
    if (artifact_type == bundle::provenance_artifact_type) {
        return "https://slsa.dev/provenance/v1";
    }
    if (artifact_type == bundle::lock_artifact_type) {
        return "https://kiln.invalid/lock/v1";
    }
    throw Error(ErrorKind::internal, fmt::format("nothing of type {} is attached to images", artifact_type));
}

Json Region::attachment(const Image& image, std::string_view artifact_type, const signing::TrustStore& trust) const
{
    const std::vector<Digest> candidates = layout().find_attached(image.manifest, artifact_type);
    if (candidates.empty()) {
        throw Error(ErrorKind::not_found,
                    fmt::format("{} {} ({}) has no attachment of type {}", image.name, image.version.to_string(),
                                image.id, artifact_type),
                    "a snapshot has none, nor has an image of an older Kiln; build it again");
    }
    const std::vector<signing::PublicKey> keys = trust.keys_of(image.owner);
    std::vector<std::string> faults;
    for (const Digest& digest : candidates) {
        try {
            const auto attached = bundle::parse_attached_oci_manifest(layout().read_verified(digest), artifact_type);
            auto document = signing::verify_attestation(layout().read_verified(attached.envelope.digest), keys,
                                                        image.manifest, predicate_type_of(artifact_type));
            if (document) {
                return *std::move(document);
            }
            faults.push_back(
                fmt::format("it is not signed by a key that is trusted for its owner, account {}", image.owner));
        } catch (const Error& error) {
            faults.emplace_back(error.what());
        }
    }
    throw Error(ErrorKind::untrusted,
                fmt::format("the attachment of type {} of {} {} ({}) was refused: {}", artifact_type, image.name,
                            image.version.to_string(), image.id, join(faults, "; ")),
                "build or import the image again");
}

} // namespace kiln::registry
