// SPDX-License-Identifier: Apache-2.0
#include "bundle/manifest.h"

#include "core/random.h"

#include <algorithm>

namespace kiln::bundle
{
namespace
{

template <typename T> Json or_null(const std::optional<T>& value)
{
    return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text)
{
    return text.empty() ? Json(nullptr) : Json(text);
}

Json to_json(const Test& test)
{
    const auto of = [&](std::initializer_list<std::string_view> kinds, Json value) {
        return std::ranges::find(kinds, test.kind) != kinds.end() ? std::move(value) : Json(nullptr);
    };
    return {{"name", test.name},
            {"kind", test.kind},
            {"derived", test.derived},
            {"command", of({"run"}, test.command)},
            {"status", of({"run", "http"}, test.status)},
            {"output", of({"run"}, or_null(test.output))},
            {"pattern", of({"console"}, test.pattern)},
            {"port", of({"port", "http"}, test.port)},
            {"path", of({"http"}, test.path)},
            {"body", of({"http"}, or_null(test.body))},
            {"timeout_seconds", test.timeout_seconds}};
}

Json to_json(const LaunchDefaults& launch, int schema)
{
    Json json{{"instance_type", or_null(launch.instance_type)},
              {"minimum_memory", launch.minimum_memory ? Json(launch.minimum_memory->bytes()) : Json(nullptr)},
              {"accounts", Json(launch.accounts)},
              {"deprecated_on", or_null(launch.deprecated_on)}};
    if (schema >= 4) {
        json["warm"] = launch.warm;
    }
    return json;
}

Json to_json(const LayerReference& layer, int schema)
{
    Json json{{"digest", layer.digest.to_string()}, {"size", layer.size.bytes()}};
    if (schema == 1) {
        return json;
    }
    json["chunks"] = nullptr;
    if (layer.chunks) {
        Json digests = Json::array();
        for (const Digest& digest : layer.chunks->digests) {
            digests.push_back(digest.to_string());
        }
        json["chunks"] = {{"size", layer.chunks->size.bytes()}, {"digests", std::move(digests)}};
    }
    return json;
}

Json to_json(const BlockDeviceMapping& mapping, int schema)
{
    Json layers = Json::array();
    for (const LayerReference& layer : mapping.layers) {
        layers.push_back(to_json(layer, schema));
    }
    Json file_systems = Json::array();
    for (const FileSystem& one : mapping.file_systems) {
        file_systems.push_back(
            {{"filesystem", one.type}, {"mount", text_or_null(one.mount)}, {"name", text_or_null(one.name)}});
    }
    return {{"device", mapping.device},
            {"size", mapping.size.bytes()},
            {"volume_type", mapping.volume_type},
            {"encrypted", mapping.encrypted},
            {"file_systems", std::move(file_systems)},
            {"delete_on_termination", mapping.delete_on_termination},
            {"layers", std::move(layers)}};
}

Json to_json(const std::optional<Parent>& parent)
{
    if (!parent) {
        return nullptr;
    }
    return {
        {"name", parent->name}, {"version", parent->version.to_string()}, {"manifest", parent->manifest.to_string()}};
}

Json to_json(const SnapshotFacts& snapshot)
{
    return {{"consistency_reason", or_null(snapshot.consistency_reason)},
            {"frozen_us", snapshot.frozen_us},
            {"exact", snapshot.exact},
            {"drift", snapshot.drift ? bundle::to_json(*snapshot.drift) : Json(nullptr)}};
}

Json to_json(const Source& source, int schema)
{
    Json json{{"kind", source.kind},
              {"recipe", source.recipe ? Json(source.recipe->to_string()) : Json(nullptr)},
              {"instance", or_null(source.instance)},
              {"consistency", or_null(source.consistency)}};
    if (schema >= 3) {
        json["disk"] = source.disk ? Json(source.disk->to_string()) : Json(nullptr);
        json["snapshot"] = source.snapshot ? to_json(*source.snapshot) : Json(nullptr);
    }
    return json;
}

Json to_json(const std::vector<Software>& software)
{
    Json packages = Json::array();
    for (const Software& package : software) {
        packages.push_back(
            {{"name", package.name}, {"version", package.version}, {"architecture", package.architecture}});
    }
    return packages;
}

bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

} // namespace

std::optional<ByteSize> chunk_size_for(ByteSize layer)
{
    ByteSize chunk = mebibytes(64);
    if (layer <= chunk) {
        return std::nullopt;
    }
    while (chunk < largest_chunk && layer.bytes() > chunk.bytes() * most_chunks) {
        chunk = chunk + chunk;
    }
    return chunk;
}

Json to_json(const Manifest& manifest)
{
    Json devices = Json::array();
    for (const BlockDeviceMapping& mapping : manifest.block_devices) {
        devices.push_back(to_json(mapping, manifest.schema));
    }
    Json tests = Json::array();
    for (const Test& test : manifest.tests) {
        tests.push_back(to_json(test));
    }
    return {
        {"schema", manifest.schema},
        {"name", manifest.name},
        {"version", manifest.version.to_string()},
        {"description", manifest.description},
        {"architecture", manifest.architecture},
        {"boot_mode", manifest.boot_mode},
        {"os",
         {{"distribution", manifest.os_distribution}, {"version", manifest.os_version}, {"name", manifest.os_name}}},
        {"root_device_name", manifest.root_device},
        {"block_device_mappings", std::move(devices)},
        {"launch_permissions", {{"public", manifest.launch_public}}},
        {"launch", to_json(manifest.launch, manifest.schema)},
        {"software", to_json(manifest.software)},
        {"parent", to_json(manifest.parent)},
        {"source", to_json(manifest.source, manifest.schema)},
        {"created", manifest.created},
        {"tags", Json(manifest.tags)},
        {"owner", manifest.owner},
        {"tests", std::move(tests)}};
}

int schema_for(const Manifest& manifest)
{
    if (manifest.launch.warm) {
        return 4;
    }
    return manifest.source.disk || manifest.source.snapshot ? 3 : 2;
}

bool is_image_name(std::string_view name)
{
    if (name.size() < 3 || name.size() > 128 || is_resource_id("ami-", name)) {
        return false;
    }
    const bool known = std::all_of(name.begin(), name.end(),
                                   [](char c) { return is_lower_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
    return known && is_lower_alphanumeric(name.front()) && is_lower_alphanumeric(name.back()) &&
           name.find("..") == std::string_view::npos;
}

} // namespace kiln::bundle
