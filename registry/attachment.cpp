// SPDX-License-Identifier: Apache-2.0
// Region::attachment: a document about an image, believed only when the image's owner signed it.
#include "bundle/test_result_type.h"
#include "core/error.h"
#include "core/text.h"
#include "registry/envelope.h"
#include "registry/predicate_type.h"
#include "registry/region.h"

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
    if (artifact_type == bundle::test_result_artifact_type) {
        return "https://in-toto.io/attestation/test-result/v0.1";
    }
    if (artifact_type == bundle::template_artifact_type) {
        return "https://kiln.invalid/warm-template/v1";
    }
    throw Error(ErrorKind::internal, fmt::format("nothing of type {} is attached to images", artifact_type));
}

Json Region::attachment(const Image& image, std::string_view artifact_type, const signing::TrustStore& trust) const
{
    std::vector<std::string> faults;
    auto document = find_predicate(layout(), image.manifest, artifact_type, predicate_type_of(artifact_type),
                                   trust.keys_of(image.owner), faults);
    if (document) {
        return *std::move(document);
    }
    if (faults.empty()) {
        throw Error(ErrorKind::not_found,
                    fmt::format("{} {} ({}) has no attachment of type {}", image.name, image.version.to_string(),
                                image.id, artifact_type),
                    "a snapshot has none, nor has an image of an older Kiln; build it again");
    }
    throw Error(ErrorKind::untrusted,
                fmt::format("the attachment of type {} of {} {} ({}) of account {} was refused: {}", artifact_type,
                            image.name, image.version.to_string(), image.id, image.owner, join(faults, "; ")),
                "build or import the image again");
}

} // namespace kiln::registry
