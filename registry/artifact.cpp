// SPDX-License-Identifier: Apache-2.0
#include "registry/artifact.h"

#include "core/error.h"
#include "core/files.h"
#include "registry/envelope.h"
#include "registry/layer_inspection.h"
#include "registry/predicate_type.h"
#include "registry/region_state.h"
#include "signing/attestation.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view document = "the description of attached files";

bool same_blobs(const std::vector<bundle::Descriptor>& one, const std::vector<bundle::Descriptor>& other)
{
    return std::ranges::equal(one, other, [](const bundle::Descriptor& left, const bundle::Descriptor& right) {
        return left.digest == right.digest && left.size == right.size;
    });
}

Json to_json(const std::vector<bundle::Descriptor>& files)
{
    Json json = Json::array();
    for (const bundle::Descriptor& file : files) {
        json.push_back({{"digest", file.digest.to_string()}, {"size", file.size.bytes()}});
    }
    return json;
}

std::vector<bundle::Descriptor> files_from(const Json& predicate)
{
    std::vector<bundle::Descriptor> files;
    for (const Json& file : member(predicate, "files", document)) {
        const auto digest = Digest::parse(string_member(file, "digest", document));
        const std::int64_t size = integer_member(file, "size", document);
        if (!digest || size < 1) {
            throw Error(ErrorKind::untrusted, fmt::format("{} names a file without digest and size", document));
        }
        files.push_back({std::string(bundle::zstd_type), *digest, ByteSize(static_cast<std::uint64_t>(size))});
    }
    return files;
}

std::vector<bundle::Descriptor> store_files(const std::vector<fs::path>& files, const bundle::Layout& layout)
{
    std::vector<bundle::Descriptor> stored;
    stored.reserve(files.size());
    for (const fs::path& file : files) {
        stored.push_back(layout.put_file(file, bundle::zstd_type));
    }
    return stored;
}

// Of blobs that are there; the region is locked.
Digest attach(const bundle::Layout& layout, const Image& image, std::string_view artifact_type,
              const std::string& envelope, const std::vector<bundle::Descriptor>& files)
{
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), image.manifest,
                                     ByteSize(layout.read_verified(image.manifest).size())};
    const bundle::Descriptor stored = store_envelope(envelope, artifact_type, subject, layout, files);
    layout.add_to_index(stored, artifact_type, {{bundle::subject_annotation, image.manifest.to_string()}});
    return stored.digest;
}

// nullopt: none of the keys signed it.
std::optional<Artifact> read_artifact(const std::string& manifest, std::string envelope, const Digest& image,
                                      std::string_view artifact_type, std::span<const signing::PublicKey> keys)
{
    const auto predicate = signing::verify_attestation(envelope, keys, image, predicate_type_of(artifact_type));
    if (!predicate) {
        return std::nullopt;
    }
    const Json& description = member(*predicate, "description", document);
    std::vector<bundle::Descriptor> files = files_from(*predicate);
    Artifact artifact{digest_of(manifest), std::move(envelope), description, std::move(files)};
    const auto named = bundle::parse_attached_oci_manifest(manifest, artifact_type, most_artifact_files);
    if (named.subject.digest != image || !same_blobs(named.files, artifact.files)) {
        throw Error(ErrorKind::untrusted, "its manifest names other files than were signed");
    }
    return artifact;
}

} // namespace

ByteSize Artifact::size() const
{
    return std::accumulate(files.begin(), files.end(), ByteSize(),
                           [](ByteSize sum, const bundle::Descriptor& file) { return sum + file.size; });
}

std::vector<Artifact> find_artifacts(const bundle::Layout& layout, const Digest& image, std::string_view artifact_type,
                                     std::span<const signing::PublicKey> keys, std::vector<std::string>& faults)
{
    std::vector<Artifact> found;
    for (const Digest& digest : layout.find_attached(image, artifact_type)) {
        try {
            const std::string manifest = layout.read_verified(digest);
            const auto named = bundle::parse_attached_oci_manifest(manifest, artifact_type, most_artifact_files);
            auto artifact =
                read_artifact(manifest, layout.read_verified(named.envelope.digest), image, artifact_type, keys);
            if (artifact) {
                found.push_back(*std::move(artifact));
            }
        } catch (const Error& error) {
            faults.emplace_back(error.message());
        }
    }
    return found;
}

Artifact check_artifact(const std::string& manifest, std::string envelope, const Digest& image,
                        std::string_view artifact_type, std::span<const signing::PublicKey> keys)
{
    auto artifact = read_artifact(manifest, std::move(envelope), image, artifact_type, keys);
    return artifact ? *std::move(artifact) : throw Error(ErrorKind::untrusted, "it is not signed by a trusted key");
}

std::vector<fs::path> verified_files(const bundle::Layout& layout, const Artifact& artifact, VerificationRecord* record)
{
    std::vector<bundle::LayerReference> blobs;
    for (const bundle::Descriptor& file : artifact.files) {
        blobs.push_back({file.digest, file.size, std::nullopt});
    }
    const auto findings = inspect_layers(layout, blobs, Reading::changed, record, BlobContent::other);
    std::vector<fs::path> paths;
    for (const bundle::Descriptor& file : artifact.files) {
        if (const auto& fault = findings.at(file.digest.hex()).fault) {
            throw Error(ErrorKind::untrusted, fmt::format("{}: {}", file.digest.to_string(), *fault));
        }
        paths.push_back(fs::absolute(layout.blob_path(file.digest)));
    }
    return paths;
}

Artifact attach_files(const Region& region, const Image& image, std::string_view artifact_type, const Json& description,
                      const std::vector<fs::path>& files, const signing::SecretKey& key)
{
    const bundle::Layout& layout = region.layout();
    const FileLock lock(lock_file(layout.folder()), FileLock::Wait::block);
    std::vector<bundle::Descriptor> stored = store_files(files, layout);
    Artifact artifact{image.manifest, {}, description, std::move(stored)};
    artifact.envelope =
        signing::sign_attestation({.subject_name = fmt::format("{}@{}", image.name, image.version.to_string()),
                                   .subject = image.manifest,
                                   .predicate_type = std::string(predicate_type_of(artifact_type)),
                                   .predicate = {{"description", description}, {"files", to_json(artifact.files)}}},
                                  key);
    artifact.manifest = attach(layout, image, artifact_type, artifact.envelope, artifact.files);
    return artifact;
}

void attach_artifact(const Region& region, const Image& image, std::string_view artifact_type, const Artifact& artifact,
                     const fs::path& folder)
{
    const bundle::Layout& layout = region.layout();
    const FileLock lock(lock_file(layout.folder()), FileLock::Wait::block);
    for (const bundle::Descriptor& file : artifact.files) { // two disks that nobody wrote to are one blob
        const fs::path from = folder / file.digest.hex();
        if (!fs::exists(from) && fs::exists(layout.blob_path(file.digest))) {
            continue;
        }
        if (layout.put_file(from, bundle::zstd_type).digest != file.digest) {
            throw Error(ErrorKind::untrusted, fmt::format("{} has other content than was signed", from.native()));
        }
    }
    static_cast<void>(attach(layout, image, artifact_type, artifact.envelope, artifact.files));
}

// The manifest goes last: a collector keeps what it names, and one that the index names has to be there.
void detach_artifact(const Region& region, const Digest& manifest)
{
    const bundle::Layout& layout = region.layout();
    const FileLock lock(lock_file(layout.folder()), FileLock::Wait::block);
    Json rest = Json::array();
    const Json entries = layout.entries();
    for (const Json& entry : entries) {
        if (!entry.is_object() || !entry.contains("digest") || entry["digest"] != manifest.to_string()) {
            rest.push_back(entry);
        }
    }
    if (rest.size() == entries.size()) {
        return;
    }
    layout.replace_entries(rest);
    const fs::path blob = layout.blob_path(manifest);
    fs::remove(blob);
    sync_directory(blob.parent_path());
}

} // namespace kiln::registry
