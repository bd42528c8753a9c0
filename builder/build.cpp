// SPDX-License-Identifier: Apache-2.0
#include "builder/build.h"

#include "builder/layer_stack.h"
#include "builder/plan.h"
#include "builder/software.h"
#include "builder/workshop.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// A minimal Debian needs about 0.5 GiB unpacked: once as a tree, in the work folder or in TMPDIR, and once
// as a disk.
constexpr ByteSize needed_space = gibibytes(1);

void require_host(const BuildOptions& options)
{
    require_program("qemu-img", "qemu-utils");
    require_program("qemu-storage-daemon", "qemu-system-common");
    require_program("supermin", "supermin");
    if (!find_kernel()) {
        throw Error(ErrorKind::missing_tool,
                    "there is no kernel in /boot that this user can read, and libguestfs needs one",
                    "install one: apt-get install linux-image-cloud-amd64 (or make /boot/vmlinuz-* readable)");
    }
    require_free_space(options.work, needed_space, "the build");
    require_free_space(fs::temp_directory_path(), needed_space, "unpacking packages");
}

// A disk of a cached layer as a file of the build's own, which nobody evicts.
FinishedLayer take(const CachedLayer& layer, std::size_t disk, const fs::path& file)
{
    link_or_copy(layer.disk(disk), file);
    const Json& digests = member(layer.record().facts, "digests", "a cached layer");
    return {file, Digest::parse(digests.at(disk).get<std::string>())};
}

std::vector<VolumeFileSystem> file_systems_of(const recipes::Volume& volume)
{
    std::vector<VolumeFileSystem> file_systems;
    for (const recipes::VolumePart& part : volume.parts) {
        file_systems.push_back({.type = part.filesystem.type, .mount = part.filesystem.mount, .name = part.name});
    }
    return file_systems;
}

Volume describe(const recipes::Volume& volume)
{
    return {.device = volume.device,
            .size = volume.size,
            .type = volume.type,
            .encrypted = volume.encrypted,
            .file_systems = file_systems_of(volume),
            .delete_on_termination = volume.delete_on_termination,
            .layers = {}};
}

DiskSet finished_disks(const recipes::Recipe& recipe, const std::vector<PlannedLayer>& plan, const LayerStack& layers,
                       const BuildOptions& options)
{
    const CachedLayer& sealed = layers.at(layers.size() - 1);
    DiskSet disks;
    disks.software = software_from_json(member(sealed.record().facts, "software", "a cached layer"));
    if (options.parent) {
        for (const ParentImage::ParentVolume& volume : options.parent->volumes) {
            disks.volumes.push_back({.device = volume.device, .size = volume.size});
        }
    }
    std::ranges::transform(recipe.volumes, std::back_inserter(disks.volumes), describe);
    for (std::size_t i = 0; i < disks.volumes.size(); ++i) {
        std::vector<FinishedLayer>& files = disks.volumes[i].layers;
        if (!options.parent && layers_below(plan, options, i) > 0) {
            files.push_back(take(layers.at(0), i, options.work / fmt::format("disk{}-layer0.qcow2", i)));
        }
        files.push_back(take(sealed, i, options.work / fmt::format("disk{}-layer1.qcow2", i)));
    }
    return disks;
}

} // namespace

DiskSet build(const recipes::Recipe& recipe, const BuildOptions& options, Progress& progress,
              const std::stop_token& stop)
{
    const ByteSize limit = cache_limit();
    LayerCache cache(options.cache);
    const std::optional<Digest> ground = options.parent ? std::optional(options.parent->manifest) : std::nullopt;
    const std::vector<PlannedLayer> plan = plan_layers(recipe, ground);
    LayerStack layers(cache, plan, ground ? ground->to_string() : std::string(), options.look_up);
    layers.find(progress, stop);
    if (layers.size() > 0) {
        progress.note(fmt::format("{} of {} layers are in the cache", layers.size(), plan.size()));
    }
    if (!layers.complete()) {
        require_host(options);
        Workshop(recipe, plan, layers, options, progress, stop).make_missing_layers();
    }
    DiskSet disks = finished_disks(recipe, plan, layers, options);
    cache.evict(limit);
    return disks;
}

} // namespace kiln::builder
