// SPDX-License-Identifier: Apache-2.0
// The OCI image manifests of a bundle (image-spec v1.1 manifest.md): built as canonical JSON, and
// read strictly, since an unknown field could mean something that Kiln would not honour.
#include "bundle/object_reader.h"
#include "bundle/oci.h"
#include "core/error.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace kiln::bundle
{
namespace
{

constexpr std::size_t most_layers = 26UL * 128UL;
constexpr std::int64_t largest_blob = std::int64_t{64} << 40U; // 64 TiB

Json to_json(const Descriptor& descriptor)
{
    return {{"mediaType", descriptor.media_type},
            {"digest", descriptor.digest.to_string()},
            {"size", descriptor.size.bytes()}};
}

Descriptor read_descriptor(ObjectReader reader, std::string_view media_type)
{
    std::string type = reader.string("mediaType", 255);
    if (type != media_type) {
        reader.refuse("mediaType", fmt::format("is not {}", media_type));
    }
    Digest digest = reader.digest("digest");
    const std::int64_t size = reader.integer("size", 1, largest_blob);
    reader.finish();
    return {std::move(type), std::move(digest), ByteSize(static_cast<std::uint64_t>(size))};
}

Json parse_untrusted(std::string_view bytes, std::string_view what)
{
    try {
        return parse_json(bytes, what);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message());
    }
}

void read_heading(ObjectReader& reader, std::string_view artifact_type)
{
    static_cast<void>(reader.integer("schemaVersion", 2, 2));
    if (reader.string("mediaType", 255) != oci_manifest_type) {
        reader.refuse("mediaType", fmt::format("is not {}", oci_manifest_type));
    }
    if (reader.string("artifactType", 255) != artifact_type) {
        reader.refuse("artifactType", fmt::format("is not {}", artifact_type));
    }
}

// Annotations are for other tools; Kiln takes nothing from them.
void skip_annotations(ObjectReader& reader)
{
    static_cast<void>(reader.object("annotations"));
}

Descriptor empty_config()
{
    return {std::string(oci_empty_type), digest_of(oci_empty_blob), ByteSize(oci_empty_blob.size())};
}

Descriptor read_empty_config(ObjectReader& reader)
{
    Descriptor config = read_descriptor(reader.object("config"), oci_empty_type);
    if (config.digest != digest_of(oci_empty_blob)) {
        reader.refuse("config", "is not the empty blob");
    }
    return config;
}

Descriptor read_only_layer(ObjectReader& reader, std::string_view media_type, std::string_view what)
{
    if (reader.array("layers", 1).size() != 1) {
        reader.refuse("layers", fmt::format("does not have exactly one {}", what));
    }
    return read_descriptor(reader.element("layers", 0), media_type);
}

// Each layer once, in the order of the devices and bottom first.
Json layers_of(const Manifest& manifest)
{
    Json layers = Json::array();
    std::set<std::string> listed;
    for (const BlockDeviceMapping& mapping : manifest.block_devices) {
        for (const LayerReference& layer : mapping.layers) {
            if (listed.insert(layer.digest.hex()).second) {
                layers.push_back(to_json(Descriptor{std::string(disk_layer_type), layer.digest, layer.size}));
            }
        }
    }
    return layers;
}

} // namespace

std::string ami_oci_manifest(const Manifest& manifest, const Descriptor& config)
{
    return canonical_json({{"schemaVersion", 2},
                           {"mediaType", oci_manifest_type},
                           {"artifactType", ami_artifact_type},
                           {"config", to_json(config)},
                           {"layers", layers_of(manifest)},
                           {"annotations",
                            {{"org.opencontainers.image.title", manifest.name},
                             {"org.opencontainers.image.version", manifest.version.to_string()},
                             {"org.opencontainers.image.created", manifest.created},
                             {"org.opencontainers.image.description", manifest.description},
                             {"vnd.kiln.architecture", manifest.architecture}}}});
}

std::string attached_oci_manifest(std::string_view artifact_type, const Descriptor& envelope, const Descriptor& subject,
                                  const std::vector<Descriptor>& files)
{
    Json layers = Json::array({to_json(envelope)});
    for (const Descriptor& file : files) {
        layers.push_back(to_json(file));
    }
    return canonical_json({{"schemaVersion", 2},
                           {"mediaType", oci_manifest_type},
                           {"artifactType", artifact_type},
                           {"config", to_json(empty_config())},
                           {"layers", layers},
                           {"subject", to_json(subject)},
                           {"annotations", Json::object()}});
}

AmiOciManifest parse_ami_oci_manifest(std::string_view bytes)
{
    const Json json = parse_untrusted(bytes, "OCI manifest");
    ObjectReader reader(json, "OCI manifest");
    read_heading(reader, ami_artifact_type);
    AmiOciManifest manifest{read_descriptor(reader.object("config"), ami_artifact_type), {}};
    const std::size_t count = reader.array("layers", most_layers).size();
    for (std::size_t i = 0; i < count; ++i) {
        manifest.layers.push_back(read_descriptor(reader.element("layers", i), disk_layer_type));
    }
    skip_annotations(reader);
    reader.finish();
    return manifest;
}

AttachedOciManifest parse_attached_oci_manifest(std::string_view bytes, std::string_view artifact_type,
                                                std::size_t most_files)
{
    const Json json = parse_untrusted(bytes, "artifact manifest");
    ObjectReader reader(json, "artifact manifest");
    read_heading(reader, artifact_type);
    Descriptor config = read_empty_config(reader);
    const std::size_t count = reader.array("layers", 1 + most_files).size();
    if (count == 0) {
        reader.refuse("layers", "does not have exactly one envelope");
    }
    Descriptor envelope = read_descriptor(reader.element("layers", 0), dsse_type);
    std::vector<Descriptor> files;
    for (std::size_t i = 1; i < count; ++i) {
        files.push_back(read_descriptor(reader.element("layers", i), zstd_type));
    }
    Descriptor subject = read_descriptor(reader.object("subject"), oci_manifest_type);
    skip_annotations(reader);
    reader.finish();
    return {std::move(config), std::move(envelope), std::move(files), std::move(subject)};
}

std::string component_oci_manifest(const Descriptor& document)
{
    return canonical_json({{"schemaVersion", 2},
                           {"mediaType", oci_manifest_type},
                           {"artifactType", component_artifact_type},
                           {"config", to_json(empty_config())},
                           {"layers", Json::array({to_json(document)})},
                           {"annotations", Json::object()}});
}

Descriptor parse_component_oci_manifest(std::string_view bytes)
{
    const Json json = parse_untrusted(bytes, "component manifest");
    ObjectReader reader(json, "component manifest");
    read_heading(reader, component_artifact_type);
    static_cast<void>(read_empty_config(reader));
    Descriptor document = read_only_layer(reader, component_artifact_type, "document");
    skip_annotations(reader);
    reader.finish();
    return document;
}

} // namespace kiln::bundle
