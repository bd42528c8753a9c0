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
#include "registry/change.h"
#include "registry/component.h"
#include "registry/image_query.h"
#include "registry/upkeep/audit_entry.h"
#include "registry/upkeep/lease.h"
#include "signing/event.h"
#include "signing/keys.h"
#include "signing/trust_store.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

struct Transfer;       // bundle_transfer.h
class ImageSource;     // image_source.h
struct CollectOptions; // upkeep/collect.h
struct Collected;
struct CheckOptions; // upkeep/check.h
struct CheckReport;

// `deprecated`: an available one whose date of deprecation has come; it still launches. A disabled one launches for
// nobody, a deregistered one is gone but for its id, name and version, which stay taken.
enum class ImageState { available, deprecated, disabled, deregistered };
[[nodiscard]] std::string_view name_of(ImageState state) noexcept;
// `deprecated` follows from a date: events and rows have `available` there.
[[nodiscard]] constexpr ImageState stored_state(ImageState state) noexcept
{
    return state == ImageState::deprecated ? ImageState::available : state;
}

// One row of the catalogue. What may change after publishing follows from the image's signed events; a row is only
// believed after registry::verify or Region::history compared the two.
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
    std::string holder{}; // the account that registered it here and alone may change it: but for a copy, the owner
    std::vector<std::string> launch_accounts{}; // sorted; may launch it besides the holder
    std::optional<std::string> deprecated_at{}; // ISO 8601
    std::int64_t last_event = 0; // the number of its newest event; 0: an older Kiln published it, and nothing changed
    std::vector<std::string> launch_organizations{}; // sorted; whose members may launch it as well
    // What lists can be filtered by besides, from the manifest: "source", "os", "tag:KEY". Only on its way into the
    // catalogue.
    std::map<std::string, std::string> facts{};
};

// As far as launch permissions go. The row of an image of an older Kiln (last_event 0) lacks the accounts of its
// manifest; the image that `explained` or `verify` returns has them.
// `organizations`: those that the account is a member of (organizations.h).
[[nodiscard]] bool may_launch(const Image& image, std::string_view account,
                              const std::vector<std::string>& organizations = {});

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
    // Opens the region's folder; makes it on first use. `memory`: the file that holds what this home has seen of its
    // events, which is not to be rolled back together with it; by default beside the folder. Throws Error{io,
    // permission_denied, no_space}.
    Region(std::filesystem::path folder, std::string name, std::filesystem::path memory = {});
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

    // The same under next_patch() of the manifest's MAJOR.MINOR, whatever its patch is: two publishers at once get two.
    // `attachments` is asked for what goes along with that version, while the region is locked.
    using AttachmentsOf = std::function<std::vector<Attachment>(const SemanticVersion&)>;
    Image publish_next_patch(bundle::Manifest manifest, const std::vector<NewLayer>& layers,
                             const signing::SecretKey& key, const AttachmentsOf& attachments = nullptr);

    // Reads a hostile bundle (bundle/bundle_file.h) from a descriptor, a file or a pipe, and records its image under a
    // new id, held by the signer alone, once every check of verify() passed for the signer's account: documents before
    // a layer is read, and all again when the layers are on disk. Throws Error{untrusted, permission_denied} as
    // verify(), Error{conflict} when name, version and architecture are taken, Error{io, no_space, interrupted}. What a
    // killed import leaves, the next one removes.
    Image import_image(int fd, const signing::TrustStore& trust, const Signer& signer, const Transfer& transfer);
    // The same from any source; what its own way of transport throws comes through.
    Image import_image(ImageSource& source, const signing::TrustStore& trust, const Signer& signer,
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

    // Signs the change as an event and makes it, both or neither; `changed` is false, and nothing is written, when the
    // image was like that already. Throws Error{permission_denied} unless the signer holds the image,
    // Error{conflict} for what its state forbids, Error{untrusted} when its events or the catalogue don't hold.
    struct Changed {
        Image image;
        bool changed = false;
    };
    Changed change(const Image& image, const Change& what, const Signer& signer, const signing::TrustStore& trust);

    // Registers the image of another region, which was verified for the signer's account, in this one: a new id, the
    // same manifest and layers, held by the signer alone. Blobs are hard links where that is possible, and are read
    // and checked either way. Throws Error{conflict, untrusted, io, no_space}.
    Image copy_from(const Region& source, const class VerifiedImage& image, const Signer& signer);

    // The image as its signed events and its manifest have it, once the catalogue is seen to be the newest that this
    // home knows, and whole, and to say the same. Throws Error{untrusted}.
    [[nodiscard]] Image explained(const Image& image, const bundle::Manifest& manifest,
                                  const signing::TrustStore& trust) const;
    // All that happened to it, oldest first, as verified as that; also of a deregistered one.
    [[nodiscard]] std::vector<signing::Event> history(const Image& image, const signing::TrustStore& trust) const;
    // The channels that name it, as the catalogue's rows say.
    [[nodiscard]] std::vector<std::string> channels_of(const Image& image) const;

    // Keeps these blobs, and of a manifest all that it names, from being collected as long as the lease lives; what is
    // gone already is the caller's to notice afterwards. Holds up no publisher. Of nothing where the caller can't
    // write. Throws Error{io, no_space}.
    [[nodiscard]] Lease lease(const std::vector<Digest>& digests) const;

    // The next three are in upkeep/. Removes the blobs that nothing needs, and what killed processes left; safe beside
    // all others. Throws Error{untrusted, io, damaged}, and removes nothing, when it can't be sure what is needed.
    Collected collect(const CollectOptions& options);
    // Reads all that is stored and compares. What is damaged is in the report, not an error.
    CheckReport check(const CheckOptions& options);
    // Signed events and unsigned local actions, in order; see audit_entry.h. Throws Error{untrusted} for a catalogue
    // whose chain of events is broken.
    [[nodiscard]] std::vector<AuditEntry> audit_log(const signing::TrustStore& trust) const;
    // Adds a local action to the log, durably. Throws Error{io, no_space, permission_denied}.
    void note(const LocalAction& action) const;

    // Forgets what this home has seen of the region: the catalogue as it is now will be believed.
    void forget_seen() const;

    // Newest first (created, then version).
    enum class Registered { yes, all };
    [[nodiscard]] std::vector<Image> images(Registered registered = Registered::yes) const;
    // Those that the query wants, in the same order. Its cost is that of the images that are found, and little for
    // each of the others.
    [[nodiscard]] std::vector<Image> images(const ImageQuery& query) const;

    // `reference`: an id, `name` (the highest version), `name@1.2.3`, `name@1.2.x`, `name@sha256:...` (of the OCI
    // manifest). Throws Error{not_found} with near misses or for a deregistered one, Error{usage} for a malformed
    // reference.
    [[nodiscard]] Image resolve(std::string_view reference) const;
    // The same, and `name@channel`, once the event behind the channel is verified.
    [[nodiscard]] Image resolve(std::string_view reference, const signing::TrustStore& trust) const;

    // Also a deregistered one: what runs of it goes on.
    [[nodiscard]] std::optional<Image> find_id(std::string_view id) const;

    // The image with exactly that name, version and architecture.
    [[nodiscard]] std::optional<Image> find(std::string_view name, const SemanticVersion& version,
                                            std::string_view architecture) const;

    // The version after the highest one of MAJOR.MINOR that was ever taken for the architecture, also by a deregistered
    // image; MAJOR.MINOR.0 when there is none. Somebody else may take it in the next moment. Throws Error{conflict}
    // when no number is left.
    [[nodiscard]] SemanticVersion next_patch(std::string_view name, std::uint32_t major, std::uint32_t minor,
                                             std::string_view architecture) const;

    // Its AMI manifest; digests checked on the way. Throws Error{untrusted, not_found}.
    [[nodiscard]] bundle::Manifest load_manifest(const Image& image) const;

private:
    Image publish_locked(bundle::Manifest manifest, const std::vector<NewLayer>& layers, const signing::SecretKey& key,
                         const std::vector<Attachment>& attachments);
    void fill_in_facts() const;
    [[nodiscard]] Image resolve_channel(const std::string& image_name, const std::string& channel,
                                        const signing::TrustStore& trust) const;

    struct State;
    class Inspection; // upkeep/check.cpp
    std::unique_ptr<State> state_;
};

} // namespace kiln::registry
