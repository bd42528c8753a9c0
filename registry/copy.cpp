// SPDX-License-Identifier: Apache-2.0
// Region::copy_from: blobs first, then the index, then row and event, as publishing does it.
#include "bundle/test_result_type.h"
#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "registry/lifecycle.h"
#include "registry/region_state.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

// What goes along with an image.
constexpr std::array attached_types{bundle::signature_artifact_type, bundle::sbom_artifact_type,
                                    bundle::provenance_artifact_type, bundle::lock_artifact_type,
                                    bundle::test_result_artifact_type};

class Copying
{
public:
    // `staging` is a private folder of the target's file system.
    Copying(const bundle::Layout& from, const bundle::Layout& to, const fs::path& staging)
        : from_(from), to_(to), staging_(staging)
    {
    }

    // A hard link where the file systems allow; read and hashed in either case.
    void blob(const Digest& digest, std::string_view media_type) const
    {
        const fs::path linked = staging_ / digest.hex();
        link_or_copy(from_.blob_path(digest), linked);
        const bundle::Descriptor stored = to_.put_file(linked, media_type);
        if (stored.digest != digest) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("the blob {} changed while it was copied; it has the digest {} now",
                                    digest.to_string(), stored.digest.to_string()),
                        "`kiln image verify` the image in the region that it comes from");
        }
    }

    void image(const Image& image, const bundle::AmiOciManifest& oci) const
    {
        for (const bundle::Descriptor& layer : oci.layers) {
            blob(layer.digest, layer.media_type);
        }
        blob(oci.config.digest, oci.config.media_type);
        blob(image.manifest, bundle::oci_manifest_type);
        to_.add_to_index(descriptor(image.manifest), bundle::ami_artifact_type,
                         {{bundle::reference_name_annotation,
                           fmt::format("{}-{}-{}", image.name, image.version.to_string(), image.architecture)}});
        for (const std::string_view type : attached_types) {
            attached(image.manifest, type);
        }
    }

private:
    // A damaged one proves nothing in the region that it comes from either, and stays there.
    [[nodiscard]] std::optional<bundle::AttachedOciManifest> read(const Digest& digest, std::string_view type) const
    {
        try {
            return bundle::parse_attached_oci_manifest(from_.read_verified(digest), type);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::untrusted && error.kind() != ErrorKind::not_found) {
                throw;
            }
            return std::nullopt;
        }
    }

    void attached(const Digest& subject, std::string_view artifact_type) const
    {
        for (const Digest& digest : from_.find_attached(subject, artifact_type)) {
            const auto found = read(digest, artifact_type);
            if (!found) {
                continue;
            }
            const bundle::AttachedOciManifest& parts = *found;
            blob(parts.config.digest, parts.config.media_type);
            blob(parts.envelope.digest, parts.envelope.media_type);
            blob(digest, bundle::oci_manifest_type);
            to_.add_to_index(descriptor(digest), artifact_type, {{bundle::subject_annotation, subject.to_string()}});
        }
    }

    [[nodiscard]] bundle::Descriptor descriptor(const Digest& manifest) const
    {
        return {std::string(bundle::oci_manifest_type), manifest, ByteSize(fs::file_size(to_.blob_path(manifest)))};
    }

    const bundle::Layout& from_;
    const bundle::Layout& to_;
    const fs::path& staging_;
};

} // namespace

Image Region::copy_from(const Region& source, const VerifiedImage& image, const Signer& signer)
{
    if (fs::equivalent(source.state_->folder, state_->folder)) {
        throw Error(ErrorKind::usage, fmt::format("{} is in region {} already", image.image().id, name()),
                    "name another region; `kiln registry list` shows them");
    }
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const Image& original = image.image();
    state_->require_free(original.name, original.version, original.architecture);
    state_->events().catch_up(signing::no_keys);
    layout().sweep_abandoned();
    const fs::path staging = state_->folder / "staging" / random_hex(16);
    make_directories(staging, 0700);
    const auto oci = bundle::parse_ami_oci_manifest(source.layout().read_verified(original.manifest));
    Copying(source.layout(), layout(), staging).image(original, oci);
    fs::remove_all(staging);

    Image copy = original;
    copy.id = random_resource_id("ami-");
    start_lifecycle(copy, image.manifest());
    return state_->register_image(copy, action::copy,
                                  copy_arguments(copy, {.region = source.name(), .image = original.id}), signer);
}

} // namespace kiln::registry
