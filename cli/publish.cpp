// SPDX-License-Identifier: Apache-2.0
#include "cli/publish.h"

#include "core/error.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{

registry::Image publish(registry::Region& region, bundle::Manifest manifest, const builder::DiskSet& disks,
                        const signing::SecretKey& key)
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
        const bool known = std::ranges::any_of(manifest.block_devices,
                                               [&](const auto& mapping) { return mapping.device == volume.device; });
        if (!known) {
            manifest.block_devices.push_back({.device = volume.device,
                                              .size = volume.size,
                                              .filesystem = volume.filesystem,
                                              .mount = volume.mount,
                                              .delete_on_termination = volume.delete_on_termination,
                                              .layers = {}});
        }
        for (const builder::FinishedLayer& layer : volume.layers) {
            layers.push_back({volume.device, layer.file, layer.digest});
        }
    }
    return region.publish(std::move(manifest), layers, key);
}

void require_free_version(const registry::Region& region, const std::string& name, const SemanticVersion& version,
                          const std::string& architecture)
{
    if (const auto taken = region.find(name, version, architecture)) {
        throw Error(
            ErrorKind::conflict,
            fmt::format("{} {} is already in the region {} as {}", name, version.to_string(), region.name(), taken->id),
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
            {"created", image.created},
            {"manifest", image.manifest.to_string()},
            {"recipe", image.recipe ? Json(image.recipe->to_string()) : Json()},
            {"virtual_size", image.virtual_size.bytes()},
            {"stored_size", image.stored_size.bytes()}};
}

} // namespace kiln::cli
