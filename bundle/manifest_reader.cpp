// SPDX-License-Identifier: Apache-2.0
// The strict reader of the AMI manifest: nothing is in a Manifest that did not pass a rule of
// docs/bundle-format.md.
#include "bundle/manifest.h"

#include "bundle/field_rules.h"
#include "bundle/object_reader.h"
#include "bundle/read_parts.h"
#include "core/error.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

namespace kiln::bundle
{
namespace
{

constexpr std::int64_t largest_disk = std::int64_t{64} << 40U; // 64 TiB
constexpr std::size_t most_devices = 26;
constexpr std::size_t most_layers = 128;       // of one device
constexpr std::size_t most_file_systems = 128; // of one device
constexpr std::size_t most_packages = 100'000;
constexpr std::size_t most_tests = 1'000;
constexpr std::size_t most_tags = 50;
constexpr std::size_t longest_word = 64;
constexpr std::size_t longest_line = 256;
constexpr std::size_t longest_text = 4'096;

// Returns it.
int require_schema(const Json& json)
{
    const auto found = json.is_object() ? json.find("schema") : json.end();
    if (found == json.end() || !found->is_number_integer()) {
        throw Error(ErrorKind::untrusted, "manifest: schema: is missing or not an integer");
    }
    if (*found > newest_manifest_schema) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("manifest: schema {} was made by a newer Kiln; this one reads up to {}", found->dump(),
                                newest_manifest_schema),
                    "install a newer Kiln to use this image");
    }
    if (*found < 1) {
        throw Error(ErrorKind::untrusted, fmt::format("manifest: schema: {} does not exist", found->dump()));
    }
    return found->get<int>();
}

std::string read_name(ObjectReader& reader)
{
    std::string name = reader.string("name", 128);
    if (!is_image_name(name)) {
        reader.refuse("name", "is not an image name");
    }
    return name;
}

SemanticVersion read_version(ObjectReader& reader)
{
    const auto version = parse_semantic_version(reader.string("version", longest_word));
    if (!version) {
        reader.refuse("version", "is not a version like 1.2.3");
    }
    return *version;
}

std::string read_device(ObjectReader& reader, const std::string& key)
{
    std::string device = reader.string(key, longest_word);
    if (!is_device(device)) {
        reader.refuse(key, "is not a device from /dev/vda to /dev/vdz");
    }
    return device;
}

FileSystem read_file_system(ObjectReader reader)
{
    FileSystem one;
    one.type = reader.string("filesystem", 16);
    if (!is_file_system(one.type)) {
        reader.refuse("filesystem", "is not the name of a file system");
    }
    one.mount = reader.string_or_null("mount", longest_line).value_or("");
    if (!one.mount.empty() && !is_mount_point(one.mount)) {
        reader.refuse("mount", R"(is not an absolute path without "." and "..")");
    }
    one.name = reader.string_or_null("name", longest_word).value_or("");
    if (!one.name.empty() && !is_part_name(one.name)) {
        reader.refuse("name", "is not the name of a partition or logical volume");
    }
    reader.finish();
    return one;
}

std::optional<LayerChunks> read_chunks(ObjectReader& layer, ByteSize length)
{
    if (layer.any("chunks").is_null()) {
        return std::nullopt;
    }
    ObjectReader reader = layer.object("chunks");
    LayerChunks chunks{.size = ByteSize(static_cast<std::uint64_t>(
                           reader.integer("size", static_cast<std::int64_t>(smallest_chunk.bytes()),
                                          static_cast<std::int64_t>(largest_chunk.bytes())))),
                       .digests = {}};
    if (!std::has_single_bit(chunks.size.bytes())) {
        reader.refuse("size", "is not a power of two");
    }
    const Json& digests = reader.array("digests", most_chunks);
    if (digests.size() != (length.bytes() + chunks.size.bytes() - 1) / chunks.size.bytes()) {
        reader.refuse("digests", "are not as many as the layer has chunks of that size");
    }
    for (const Json& one : digests) {
        const auto digest = one.is_string() ? Digest::parse(one.get_ref<const std::string&>()) : std::nullopt;
        if (!digest) {
            reader.refuse(fmt::format("digests[{}]", chunks.digests.size()), "is not a digest");
        }
        chunks.digests.push_back(*digest);
    }
    reader.finish();
    return chunks;
}

LayerReference read_layer(ObjectReader layer, int schema)
{
    Digest digest = layer.digest("digest");
    const ByteSize size(static_cast<std::uint64_t>(layer.integer("size", 1, largest_disk)));
    LayerReference read{std::move(digest), size, schema == 1 ? std::nullopt : read_chunks(layer, size)};
    layer.finish();
    return read;
}

BlockDeviceMapping read_mapping(ObjectReader reader, int schema)
{
    BlockDeviceMapping mapping;
    mapping.device = read_device(reader, "device");
    const std::int64_t size = reader.integer("size", 512, largest_disk);
    if (size % 512 != 0) {
        reader.refuse("size", "is not a multiple of 512 bytes");
    }
    mapping.size = ByteSize(static_cast<std::uint64_t>(size));
    mapping.volume_type = reader.string("volume_type", 16);
    if (!is_type_name(mapping.volume_type)) {
        reader.refuse("volume_type", "is not the name of a volume type");
    }
    mapping.encrypted = reader.boolean("encrypted");
    const std::size_t parts = reader.array("file_systems", most_file_systems).size();
    for (std::size_t i = 0; i < parts; ++i) {
        mapping.file_systems.push_back(read_file_system(reader.element("file_systems", i)));
    }
    mapping.delete_on_termination = reader.boolean("delete_on_termination");
    const std::size_t count = reader.array("layers", most_layers).size();
    for (std::size_t i = 0; i < count; ++i) {
        mapping.layers.push_back(read_layer(reader.element("layers", i), schema));
    }
    reader.finish();
    return mapping;
}

void refuse_shared_mounts(const ObjectReader& reader, const Manifest& manifest)
{
    std::set<std::string> seen;
    for (const BlockDeviceMapping& mapping : manifest.block_devices) {
        for (const FileSystem& one : mapping.file_systems) {
            if (!one.mount.empty() && !seen.insert(one.mount).second) {
                reader.refuse("block_device_mappings", "mounts two file systems at " + one.mount);
            }
        }
    }
}

void read_devices(ObjectReader& reader, Manifest& manifest)
{
    manifest.root_device = read_device(reader, "root_device_name");
    const std::size_t count = reader.array("block_device_mappings", most_devices).size();
    std::set<std::string> seen;
    std::map<std::string, LayerReference> known_layers;
    for (std::size_t i = 0; i < count; ++i) {
        BlockDeviceMapping mapping = read_mapping(reader.element("block_device_mappings", i), manifest.schema);
        if (!seen.insert(mapping.device).second) {
            reader.refuse("block_device_mappings", "names " + mapping.device + " twice");
        }
        for (const LayerReference& layer : mapping.layers) {
            const auto [known, added] = known_layers.emplace(layer.digest.hex(), layer);
            if (!added && known->second.size != layer.size) {
                reader.refuse("block_device_mappings", "gives one layer two sizes");
            }
            if (!added && known->second.chunks != layer.chunks) {
                reader.refuse("block_device_mappings", "gives one layer two lists of chunks");
            }
        }
        manifest.block_devices.push_back(std::move(mapping));
    }
    if (count == 0 || manifest.block_devices.front().device != manifest.root_device) {
        reader.refuse("block_device_mappings", "does not begin with the root device");
    }
    const BlockDeviceMapping& root = manifest.block_devices.front();
    if (root.layers.empty()) {
        reader.refuse("block_device_mappings[0].layers", "is empty");
    }
    if (root.file_systems.empty() || root.file_systems.front().mount != "/") {
        reader.refuse("block_device_mappings[0].file_systems", "does not begin with the one that is mounted at /");
    }
    refuse_shared_mounts(reader, manifest);
}

void read_software(ObjectReader& reader, Manifest& manifest)
{
    const std::size_t count = reader.array("software", most_packages).size();
    manifest.software.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        ObjectReader package = reader.element("software", i);
        Software software{read_filled(package, "name", longest_line), read_filled(package, "version", longest_line),
                          package.string("architecture", longest_word)};
        package.finish();
        manifest.software.push_back(std::move(software));
    }
}

std::optional<Parent> read_parent(ObjectReader& reader)
{
    if (reader.any("parent").is_null()) {
        return std::nullopt;
    }
    ObjectReader object = reader.object("parent");
    std::string name = read_name(object);
    const SemanticVersion version = read_version(object);
    Parent parent{std::move(name), version, object.digest("manifest")};
    object.finish();
    return parent;
}

SnapshotFacts read_snapshot(ObjectReader reader)
{
    SnapshotFacts snapshot;
    snapshot.consistency_reason = reader.string_or_null("consistency_reason", longest_text);
    snapshot.frozen_us = reader.integer("frozen_us", 0, std::int64_t{1} << 40U);
    snapshot.exact = reader.boolean("exact");
    if (!reader.any("drift").is_null()) {
        snapshot.drift = read_drift(reader.object("drift"));
    }
    reader.finish();
    return snapshot;
}

Source read_source(ObjectReader reader, int schema)
{
    Source source;
    source.kind = schema < 3 ? read_word_of(reader, "kind", {"recipe", "instance"})
                             : read_word_of(reader, "kind", {"recipe", "instance", "disk"});
    if (!reader.any("recipe").is_null()) {
        source.recipe = reader.digest("recipe");
    }
    source.instance = reader.string_or_null("instance", longest_word);
    if (source.instance && !is_resource_id("i-", *source.instance)) {
        reader.refuse("instance", "is not an instance id");
    }
    if (!reader.any("consistency").is_null()) {
        source.consistency = read_word_of(reader, "consistency", {"filesystem", "crash"});
    }
    const bool from_instance = source.kind == "instance";
    if (source.instance.has_value() != from_instance || source.consistency.has_value() != from_instance) {
        reader.refuse("kind", "does not go with instance and consistency, which only an instance has");
    }
    if (schema >= 3 && !reader.any("disk").is_null()) {
        source.disk = reader.digest("disk");
    }
    const bool from_disk = source.kind == "disk";
    if (source.disk.has_value() != from_disk || (from_disk && source.recipe)) {
        reader.refuse("kind", "does not go with disk and recipe: a disk has just the one, and others not");
    }
    if (schema >= 3 && !reader.any("snapshot").is_null()) {
        if (!from_instance) {
            reader.refuse("snapshot", "only an instance has");
        }
        source.snapshot = read_snapshot(reader.object("snapshot"));
    }
    reader.finish();
    return source;
}

void read_tests(ObjectReader& reader, Manifest& manifest)
{
    const std::size_t count = reader.array("tests", most_tests).size();
    for (std::size_t i = 0; i < count; ++i) {
        manifest.tests.push_back(read_test(reader.element("tests", i)));
    }
}

void read_tags(ObjectReader tags, const Json& json, Manifest& manifest)
{
    if (json.size() > most_tags) {
        tags.refuse("", fmt::format("has more than {} tags", most_tags));
    }
    for (const auto& [key, value] : json.items()) {
        const Json wrapped{{"key", key}};
        ObjectReader name(wrapped, "manifest", "tags");
        static_cast<void>(read_filled(name, "key", 128));
        manifest.tags.emplace(key, tags.string(key, longest_line));
    }
}

void read_os(ObjectReader os, Manifest& manifest)
{
    manifest.os_distribution = os.string("distribution", longest_word);
    manifest.os_version = os.string("version", longest_word);
    manifest.os_name = os.string("name", longest_line);
    os.finish();
}

bool read_launch_permissions(ObjectReader permissions)
{
    const bool everyone = permissions.boolean("public");
    permissions.finish();
    return everyone;
}

} // namespace

Manifest manifest_from_json(const Json& json)
{
    Manifest manifest;
    manifest.schema = require_schema(json);
    ObjectReader reader(json, "manifest");
    static_cast<void>(reader.any("schema"));
    manifest.name = read_name(reader);
    manifest.version = read_version(reader);
    manifest.description = reader.string("description", longest_text, Lines::many);
    manifest.architecture = read_word_of(reader, "architecture", {"x86_64", "aarch64"});
    manifest.boot_mode = read_word_of(reader, "boot_mode", {"bios", "uefi"});
    read_os(reader.object("os"), manifest);
    read_devices(reader, manifest);
    manifest.launch_public = read_launch_permissions(reader.object("launch_permissions"));
    manifest.launch = read_launch(reader.object("launch"), manifest.schema);
    read_software(reader, manifest);
    manifest.parent = read_parent(reader);
    manifest.source = read_source(reader.object("source"), manifest.schema);
    manifest.created = reader.string("created", longest_word);
    if (!is_time(manifest.created)) {
        reader.refuse("created", "is not a time like 2026-11-23T17:44:58Z");
    }
    read_tags(reader.object("tags"), reader.any("tags"), manifest);
    manifest.owner = reader.string("owner", longest_word);
    if (!is_account(manifest.owner)) {
        reader.refuse("owner", "is not an account of 12 digits");
    }
    read_tests(reader, manifest);
    reader.finish();
    return manifest;
}

} // namespace kiln::bundle
