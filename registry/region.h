// SPDX-License-Identifier: Apache-2.0
// A region: one registry, which is an OCI image layout beside a SQLite catalogue in one folder.
// Publishing stores data first and the catalogue's record last, so a killed publisher leaves either
// no image or a whole one. Safe for many processes at once.
#pragma once

#include "bundle/manifest.h"
#include "bundle/oci.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/semantic_version.h"
#include "registry/component.h"
#include "signing/keys.h"
#include "signing/trust_store.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

struct Transfer; // bundle_transfer.h

enum class ImageState { available, deprecated, disabled };
[[nodiscard]] std::string_view name_of(ImageState state) noexcept;

// One row of the catalogue.
struct Image {
    std::string id; // "ami-" and 17 hex digits, unique to the region
    std::string name;
    SemanticVersion version;
    std::string architecture;
    std::string description;
    std::string owner;   // account
    Digest manifest;     // of the OCI manifest
    std::string created; // ISO 8601; when it was built
    ImageState state = ImageState::available;
    bool launch_public = false;
    ByteSize virtual_size;        // all disks, as the guest sees them
    ByteSize stored_size;         // all layers, as blobs
    std::optional<Digest> recipe; // of the recipe that it was built from
};

// A layer file to be published: moved into the registry. Pre-existing blobs of a parent's layers
// are named by digest in the manifest and are not moved.
struct NewLayer {
    std::string device;
    std::filesystem::path file;
    std::optional<Digest> digest{}; // refused with Error{io} when its bytes have another one
};

// A document about an image, which goes beside it as an attestation that the image's account signed.
struct Attachment {
    std::string artifact_type; // bundle::sbom_artifact_type, provenance_artifact_type or lock_artifact_type
    std::string bytes;         // the document, a JSON object: SPDX 2.3, the predicate of SLSA provenance v1, a lock
};

class Region
{
public:
    // Opens the region's folder; makes it on first use. Throws Error{io, permission_denied, no_space}.
    Region(std::filesystem::path folder, std::string name);
    ~Region();
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    [[nodiscard]] const std::string& name() const noexcept;
    [[nodiscard]] const bundle::Layout& layout() const noexcept;

    // Appends each NewLayer to its device's layers in `manifest`, stores everything, signs the
    // statement and the attachments with `key` and records the image. Throws Error{conflict} when name and version
    // (for this architecture) are taken; nothing is then left but blobs that a later gc removes.
    Image publish(bundle::Manifest manifest, const std::vector<NewLayer>& layers, const signing::SecretKey& key,
                  const std::vector<Attachment>& attachments = {});

    // Reads a hostile bundle (bundle/bundle_file.h) from a descriptor, a file or a pipe, and records its image under a
    // new id once every check of verify() passed for the calling account: documents before a layer is read, and all
    // again when the layers are on disk. Throws Error{untrusted, permission_denied} as verify(), Error{conflict} when
    // name, version and architecture are taken, Error{io, no_space, interrupted}. What a killed import leaves, the
    // next one removes.
    Image import_image(int fd, const signing::TrustStore& trust, const std::string& calling_account,
                       const Transfer& transfer);

    // Attaches one more signature to the image, by another key of its owner's: for policies that want several. The
    // caller has verified the image. Signing twice with one key does no harm, and counts once.
    void sign(const Image& image, const signing::SecretKey& key);

    // The document of that type, once a key that is trusted for the image's owner is seen to have signed it as being
    // about this image. Throws Error{not_found} when there is none, Error{untrusted} when none holds.
    [[nodiscard]] Json attachment(const Image& image, std::string_view artifact_type,
                                  const signing::TrustStore& trust) const;

    // Stores the component, which the caller has checked, and signs it for its owner. Throws Error{conflict} when name
    // and version are taken.
    Component publish_component(const NewComponent& component, const signing::SecretKey& key);
    // By name, the highest version first; as the index has them, unverified. Throws Error{io} for a damaged entry.
    [[nodiscard]] std::vector<Component> components() const;
    // Its text, once a key that is trusted for its owner is seen to have signed its name, version and content. Throws
    // Error{untrusted}.
    [[nodiscard]] std::string component_text(const Component& component, const signing::TrustStore& trust) const;

    // Newest first (created, then version).
    [[nodiscard]] std::vector<Image> images() const;

    // `reference`: an id, `name` (the highest version), `name@1.2.3`, `name@1.2.x`. Throws
    // Error{not_found} with near misses, Error{usage} for a malformed reference.
    [[nodiscard]] Image resolve(std::string_view reference) const;

    // The image with exactly that name, version and architecture.
    [[nodiscard]] std::optional<Image> find(std::string_view name, const SemanticVersion& version,
                                            std::string_view architecture) const;

    // Its AMI manifest; digests checked on the way. Throws Error{untrusted, not_found}.
    [[nodiscard]] bundle::Manifest load_manifest(const Image& image) const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln::registry
