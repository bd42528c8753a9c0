// SPDX-License-Identifier: Apache-2.0
// The OCI side of a bundle: an image layout on disk (image-spec v1.0 image-layout.md) and the image
// manifests in it. Blobs are written durably and never changed; the index is replaced atomically.
#pragma once

#include "bundle/manifest.h"
#include "core/digest.h"
#include "core/json.h"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::bundle
{

inline constexpr std::string_view ami_artifact_type = "application/vnd.kiln.ami.v1+json";
inline constexpr std::string_view disk_layer_type = "application/vnd.kiln.disk.layer.v1+qcow2";
inline constexpr std::string_view signature_artifact_type = "application/vnd.kiln.signature.v1+json";
inline constexpr std::string_view sbom_artifact_type = "application/spdx+json";              // SPDX 2.3
inline constexpr std::string_view provenance_artifact_type = "application/vnd.in-toto+json"; // SLSA v1
inline constexpr std::string_view lock_artifact_type = "application/vnd.kiln.lock.v1+json";  // RECIPE.lock.json
inline constexpr std::string_view component_artifact_type = "application/vnd.kiln.component.v1+toml"; // and its text's
inline constexpr std::string_view template_artifact_type = "application/vnd.kiln.warm-template.v1+json";
inline constexpr std::string_view zstd_type = "application/zstd"; // RFC 8878; of a template's files
inline constexpr std::string_view dsse_type = "application/vnd.dsse.envelope.v1+json";
inline constexpr std::string_view oci_manifest_type = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_index_type = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_layout_file = R"({"imageLayoutVersion":"1.0.0"})"; // the content of "oci-layout"
inline constexpr std::string_view oci_empty_type = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view oci_empty_blob = "{}"; // the config blob of what is attached

// Annotations of an index entry. Other tools find an image by its reference name; the subject spares
// find_attached from reading the signatures of other images.
inline constexpr std::string_view reference_name_annotation = "org.opencontainers.image.ref.name";
inline constexpr std::string_view subject_annotation = "vnd.kiln.subject";

struct Descriptor {
    std::string media_type;
    Digest digest;
    ByteSize size;
};

// The OCI manifest of an AMI, canonical JSON bytes.
[[nodiscard]] std::string ami_oci_manifest(const Manifest& manifest, const Descriptor& config);

// The OCI manifest that attaches a DSSE envelope to the manifest `subject`: a signature or an attestation, perhaps with
// `files` that it is about, of zstd_type.
[[nodiscard]] std::string attached_oci_manifest(std::string_view artifact_type, const Descriptor& envelope,
                                                const Descriptor& subject, const std::vector<Descriptor>& files = {});

// What an AMI's OCI manifest names. Throws Error{untrusted} unless it is one of ours.
struct AmiOciManifest {
    Descriptor config;
    std::vector<Descriptor> layers;
};
[[nodiscard]] AmiOciManifest parse_ami_oci_manifest(std::string_view bytes);

// What such a manifest names; `config` is always the empty blob. Throws Error{untrusted}, also for one of another
// artifact type, or with more files.
struct AttachedOciManifest {
    Descriptor config;
    Descriptor envelope;
    std::vector<Descriptor> files;
    Descriptor subject;
};
[[nodiscard]] AttachedOciManifest parse_attached_oci_manifest(std::string_view bytes, std::string_view artifact_type,
                                                              std::size_t most_files = 0);

// The OCI manifest of a recipe's component, whose TOML is `document`; and what such a manifest names. Throws
// Error{untrusted}.
[[nodiscard]] std::string component_oci_manifest(const Descriptor& document);
[[nodiscard]] Descriptor parse_component_oci_manifest(std::string_view bytes);

// An OCI image layout folder. Safe for many readers and writers at once; callers that change the
// index hold the region's lock.
class Layout
{
public:
    // Opens `folder`; creates an empty layout there when `create`. Throws Error{not_found, io}.
    Layout(std::filesystem::path folder, bool create);

    // Stores bytes under their digest; an intact blob that is there already is kept, a damaged one
    // is replaced. Throws Error{io, no_space}.
    [[nodiscard]] Descriptor put(std::string_view bytes, std::string_view media_type) const;
    // Moves the finished file `from` (same file system, not a symbolic link) in, after making it
    // read-only and computing its digest. It heals a damaged blob of that digest.
    [[nodiscard]] Descriptor put_file(const std::filesystem::path& from, std::string_view media_type) const;

    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
    [[nodiscard]] std::filesystem::path blob_path(const Digest& digest) const;
    // The blob's bytes after checking them against `digest`; throws Error{untrusted, not_found}.
    [[nodiscard]] std::string read_verified(const Digest& digest, ByteSize limit = mebibytes(16)) const;

    // Adds a manifest to index.json, with annotations (string to string). Idempotent. An older entry
    // with the same reference name loses that name, as the OCI tools have it.
    void add_to_index(const Descriptor& manifest, std::string_view artifact_type, const Json& annotations) const;
    // The same for several at once, in one write.
    struct NewEntry {
        Descriptor manifest;
        std::string_view artifact_type;
        Json annotations;
    };
    void add_to_index(const std::vector<NewEntry>& entries) const;
    // The index entries of that type, with their annotations, as strings; unverified, like all of an index.
    struct Entry {
        Digest manifest;
        std::map<std::string, std::string, std::less<>> annotations;
    };
    [[nodiscard]] std::vector<Entry> find_all(std::string_view artifact_type) const;
    // The digests of the manifests of `artifact_type` whose subject is `manifest`; a damaged one that the
    // index gives this subject is among them, so that the caller meets the damage.
    [[nodiscard]] std::vector<Digest> find_attached(const Digest& manifest, std::string_view artifact_type) const;

    // The index's array of entries as it is, unverified. Throws Error{io, not_found} when there is none to be read.
    [[nodiscard]] Json entries() const;
    // Writes the index anew with these entries, whatever it was before.
    void replace_entries(const Json& entries) const;

    // Removes what killed writers left half-written. The caller holds the region's lock.
    void sweep_abandoned() const;

private:
    [[nodiscard]] std::string index_text() const;

    std::filesystem::path folder_;
};

} // namespace kiln::bundle
