// SPDX-License-Identifier: Apache-2.0
#include "cli/publish.h"

#include "core/error.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace kiln::cli
{

namespace
{

bundle::BlockDeviceMapping mapping_of(const builder::Volume& volume)
{
    bundle::BlockDeviceMapping mapping;
    mapping.device = volume.device;
    mapping.size = volume.size;
    mapping.volume_type = volume.type;
    mapping.encrypted = volume.encrypted;
    mapping.delete_on_termination = volume.delete_on_termination;
    for (const builder::VolumeFileSystem& one : volume.file_systems) {
        mapping.file_systems.push_back({.type = one.type, .mount = one.mount, .name = one.name});
    }
    // The manifest wants the root file system first, wherever its partition is.
    std::stable_partition(mapping.file_systems.begin(), mapping.file_systems.end(),
                          [](const auto& one) { return one.mount == "/"; });
    return mapping;
}

// Into the manifest what the disks tell; returns the layers that go on top of what it has.
std::vector<registry::NewLayer> fill_in(bundle::Manifest& manifest, const builder::DiskSet& disks)
{
    manifest.created = iso_now();
    manifest.os_distribution = disks.software.os.distribution;
    manifest.os_version = disks.software.os.version;
    manifest.os_name = disks.software.os.name;
    manifest.root_device = disks.volumes.at(0).device;
    manifest.software.clear();
    for (const builder::Package& package : disks.software.packages) {
        manifest.software.push_back({package.name, package.version, package.architecture});
    }
    std::vector<registry::NewLayer> layers;
    for (const builder::Volume& volume : disks.volumes) {
        const auto known =
            std::ranges::find(manifest.block_devices, volume.device, &bundle::BlockDeviceMapping::device);
        if (known == manifest.block_devices.end()) {
            manifest.block_devices.push_back(mapping_of(volume));
        } else {
            known->size = volume.size; // it may have grown since the parent
            const std::size_t kept = volume.kept_below.value_or(known->layers.size());
            if (kept < known->layers.size()) {
                known->layers.erase(known->layers.begin() + static_cast<std::ptrdiff_t>(kept), known->layers.end());
            }
        }
        for (const builder::FinishedLayer& layer : volume.layers) {
            layers.push_back({volume.device, layer.file, layer.digest});
        }
    }
    return layers;
}

} // namespace

registry::Image publish(registry::Region& region, bundle::Manifest manifest, const builder::DiskSet& disks,
                        const std::vector<registry::Attachment>& attachments, const signing::SecretKey& key)
{
    const auto layers = fill_in(manifest, disks);
    return region.publish(std::move(manifest), layers, key, attachments);
}

registry::Image publish_next_patch(registry::Region& region, bundle::Manifest manifest, const builder::DiskSet& disks,
                                   const registry::Region::AttachmentsOf& attachments, const signing::SecretKey& key)
{
    const auto layers = fill_in(manifest, disks);
    return region.publish_next_patch(std::move(manifest), layers, key, attachments);
}

void require_free_version(const registry::Region& region, const std::string& name, const SemanticVersion& version,
                          const std::string& architecture)
{
    if (const auto taken = region.find(name, version, architecture)) {
        throw Error(
            ErrorKind::conflict,
            fmt::format("{} {} {} the region {} as {}", name, version.to_string(),
                        taken->state == registry::ImageState::deregistered ? "was deregistered in" : "is already in",
                        region.name(), taken->id),
            "versions don't change once published: raise the version");
    }
}

Json to_json(const registry::Image& image, const std::string& region)
{
    return {{"image_id", image.id},
            {"name", image.name},
            {"version", image.version.to_string()},
            {"architecture", image.architecture},
            {"description", image.description},
            {"owner", image.owner},
            {"region", region},
            {"state", registry::name_of(image.state)},
            {"public", image.launch_public},
            {"launch_accounts", image.launch_accounts},
            {"launch_organizations", image.launch_organizations},
            {"deprecated_at", image.deprecated_at ? Json(*image.deprecated_at) : Json()},
            {"holder", image.holder},
            {"created", image.created},
            {"manifest", image.manifest.to_string()},
            {"recipe", image.recipe ? Json(image.recipe->to_string()) : Json()},
            {"virtual_size", image.virtual_size.bytes()},
            {"stored_size", image.stored_size.bytes()}};
}

} // namespace kiln::cli
