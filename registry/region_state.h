// SPDX-License-Identifier: Apache-2.0
// What a Region holds. Private to registry/.
#pragma once

#include "registry/catalogue.h"
#include "registry/event_log.h"
#include "registry/memory.h"
#include "registry/region.h"

#include <filesystem>
#include <string>

namespace kiln::registry
{

struct Region::State {
    std::filesystem::path folder;
    std::string name;
    bundle::Layout layout;
    Catalogue catalogue;
    Memory memory;

    [[nodiscard]] EventLog events() const { return {catalogue, memory, name}; }

    // Inserts the row and its first event, which `action` and `arguments` are of; returns the row. The caller holds the
    // region's lock. Throws as EventLog::catch_up.
    [[nodiscard]] Image register_image(Image image, std::string_view action, const Json& arguments,
                                       const Signer& signer) const;
    // Throws Error{conflict} when name, version and architecture are taken, also by a deregistered image.
    void require_free(const std::string& image_name, const SemanticVersion& version,
                      const std::string& architecture) const;
};

// The row of a new image, with a fresh id.
[[nodiscard]] Image row_of(const bundle::Manifest& manifest, const Digest& oci_manifest);

// Signs the statement about the image whose OCI manifest is `subject`; returns the manifest that attaches it.
[[nodiscard]] bundle::Descriptor store_signature(const bundle::Manifest& manifest, const bundle::Descriptor& subject,
                                                 const signing::SecretKey& key, const bundle::Layout& layout);

// Of a component's index entry; and whether the manifest `signature`, attached to it, is a signature by a key that is
// trusted for its owner, about just this name, version and owner.
[[nodiscard]] Json index_annotations(const Component& component);
[[nodiscard]] bool is_signed_component(const Component& component, const bundle::Layout& layout,
                                       const Digest& signature, const signing::TrustStore& trust);

// Taken by whoever changes the region: its index, its blobs or its catalogue.
[[nodiscard]] inline std::filesystem::path lock_file(const std::filesystem::path& folder)
{
    return folder / "lock";
}

} // namespace kiln::registry
