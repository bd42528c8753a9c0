// SPDX-License-Identifier: Apache-2.0
#include "registry/envelope.h"

#include "core/error.h"
#include "signing/attestation.h"

namespace kiln::registry
{

bundle::Descriptor store_envelope(const std::string& envelope, std::string_view artifact_type,
                                  const bundle::Descriptor& subject, const bundle::Layout& layout,
                                  const std::vector<bundle::Descriptor>& files)
{
    static_cast<void>(layout.put(bundle::oci_empty_blob, bundle::oci_empty_type));
    const bundle::Descriptor stored = layout.put(envelope, bundle::dsse_type);
    return layout.put(bundle::attached_oci_manifest(artifact_type, stored, subject, files), bundle::oci_manifest_type);
}

std::optional<Json> find_predicate(const bundle::Layout& layout, const Digest& subject, std::string_view artifact_type,
                                   std::string_view predicate_type, std::span<const signing::PublicKey> keys,
                                   std::vector<std::string>& faults)
{
    for (const Digest& digest : layout.find_attached(subject, artifact_type)) {
        try {
            const auto attached = bundle::parse_attached_oci_manifest(layout.read_verified(digest), artifact_type);
            auto predicate = signing::verify_attestation(layout.read_verified(attached.envelope.digest), keys, subject,
                                                         predicate_type);
            if (predicate) {
                return predicate;
            }
            faults.emplace_back("it is not signed by a key that is trusted for its owner");
        } catch (const Error& error) {
            faults.emplace_back(error.what());
        }
    }
    return std::nullopt;
}

} // namespace kiln::registry
