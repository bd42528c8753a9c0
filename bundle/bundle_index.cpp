// SPDX-License-Identifier: Apache-2.0
#include "bundle/bundle_index.h"

#include "bundle/object_reader.h"
#include "bundle/test_result_type.h"
#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace kiln::bundle
{
namespace
{

constexpr std::int64_t largest_manifest = std::int64_t{16} << 20U;
constexpr std::array attached_types{signature_artifact_type, sbom_artifact_type, provenance_artifact_type,
                                    lock_artifact_type, test_result_artifact_type};

Json entry_of(const Descriptor& manifest, std::string_view artifact_type, const Json& annotations)
{
    return {{"mediaType", manifest.media_type},
            {"artifactType", artifact_type},
            {"digest", manifest.digest.to_string()},
            {"size", manifest.size.bytes()},
            {"annotations", annotations}};
}

Json parse(std::string_view bytes, std::string_view what)
{
    try {
        return parse_json(bytes, what);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message());
    }
}

AttachedManifest read_entry(ObjectReader reader)
{
    if (reader.string("mediaType", 255) != oci_manifest_type) {
        reader.refuse("mediaType", fmt::format("is not {}", oci_manifest_type));
    }
    std::string type = reader.string("artifactType", 255);
    if (type != ami_artifact_type && std::ranges::find(attached_types, type) == attached_types.end()) {
        reader.refuse("artifactType", "is nothing that this version of Kiln knows; was it made by a newer one?");
    }
    Digest digest = reader.digest("digest");
    const std::int64_t size = reader.integer("size", 1, largest_manifest);
    static_cast<void>(reader.any("annotations"));
    reader.finish();
    return {std::move(type),
            Descriptor{std::string(oci_manifest_type), std::move(digest), ByteSize(static_cast<std::uint64_t>(size))}};
}

} // namespace

std::string bundle_index(const BundleContents& contents, const std::string& reference)
{
    Json entries = Json::array();
    entries.push_back(entry_of(contents.image, ami_artifact_type, {{reference_name_annotation, reference}}));
    for (const AttachedManifest& attached : contents.attached) {
        entries.push_back(entry_of(attached.manifest, attached.artifact_type,
                                   {{subject_annotation, contents.image.digest.to_string()}}));
    }
    return canonical_json({{"schemaVersion", 2}, {"mediaType", oci_index_type}, {"manifests", entries}});
}

BundleIndex parse_bundle_index(std::string_view bytes)
{
    const Json json = parse(bytes, "index.json");
    ObjectReader reader(json, "index.json");
    static_cast<void>(reader.integer("schemaVersion", 2, 2));
    if (reader.string("mediaType", 255) != oci_index_type) {
        reader.refuse("mediaType", fmt::format("is not {}", oci_index_type));
    }
    const std::size_t count = reader.array("manifests", most_attached + 1).size();
    std::optional<Descriptor> image;
    std::vector<AttachedManifest> attached;
    for (std::size_t i = 0; i < count; ++i) {
        AttachedManifest entry = read_entry(reader.element("manifests", i));
        if (entry.artifact_type != ami_artifact_type) {
            attached.push_back(std::move(entry));
        } else if (image) {
            reader.refuse("manifests", "names more than one image");
        } else {
            image = std::move(entry.manifest);
        }
    }
    reader.finish();
    if (!image) {
        reader.refuse("manifests", "names no image");
    }
    return {*std::move(image), std::move(attached)};
}

void require_bundle_layout(std::string_view bytes)
{
    const Json json = parse(bytes, "oci-layout");
    ObjectReader reader(json, "oci-layout");
    if (reader.string("imageLayoutVersion", 64) != "1.0.0") {
        reader.refuse("imageLayoutVersion", "is not 1.0.0");
    }
    reader.finish();
}

} // namespace kiln::bundle
