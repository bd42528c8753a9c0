// SPDX-License-Identifier: Apache-2.0
#include "builder/build.h"

#include "builder/installed_package.h"
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

Volume describe(const recipes::Volume& volume)
{
    Volume described{.device = volume.device,
                     .size = volume.size,
                     .type = volume.type,
                     .encrypted = volume.encrypted,
                     .delete_on_termination = volume.delete_on_termination};
    for (const recipes::VolumePart& part : volume.parts) {
        described.file_systems.push_back(
            {.type = part.filesystem.type, .mount = part.filesystem.mount, .name = part.name});
    }
    return described;
}

// The volumes that the base brought.
std::vector<Volume> base_volumes(const LayerStack& layers, const BuildOptions& options, const Json& facts)
{
    std::vector<Volume> volumes;
    if (options.parent) {
        for (const ParentImage::ParentVolume& volume : options.parent->volumes) {
            volumes.push_back({.device = volume.device, .size = volume.size});
        }
    } else if (facts.contains("root_filesystem")) {
        volumes.push_back(
            {.device = "/dev/vda",
             .size = imported_size(layers.at(0).record()),
             .file_systems = {{.type = string_member(facts, "root_filesystem", "a cached layer"), .mount = "/"}}});
    }
    return volumes;
}

// How many of the parent's layers the sealed one was written over, as whoever made it says: another Kiln may have
// another limit. Before there was one, all of them.
std::optional<std::size_t> kept_layers(const BuildOptions& options, const Json& facts, std::size_t disk)
{
    const auto kept = facts.find("kept_below");
    if (!options.parent || disk >= options.parent->volumes.size() || kept == facts.end()) {
        return std::nullopt;
    }
    return kept->at(disk).get<std::size_t>();
}

DiskSet finished_disks(const recipes::Recipe& recipe, const std::vector<PlannedLayer>& plan, const LayerStack& layers,
                       const BuildOptions& options)
{
    const CachedLayer& sealed = layers.at(layers.size() - 1);
    const Json& facts = sealed.record().facts;
    DiskSet disks;
    disks.software = software_from_json(member(facts, "software", "a cached layer"));
    disks.volumes = base_volumes(layers, options, facts);
    std::ranges::transform(recipe.volumes, std::back_inserter(disks.volumes), describe);
    for (std::size_t i = 0; i < disks.volumes.size(); ++i) {
        disks.volumes[i].kept_below = kept_layers(options, facts, i);
        std::vector<FinishedLayer>& files = disks.volumes[i].layers;
        if (!options.parent && layers_below(plan, options, i) > 0) {
            files.push_back(take(layers.at(0), i, options.work / fmt::format("disk{}-layer0.qcow2", i)));
        }
        files.push_back(take(sealed, i, options.work / fmt::format("disk{}-layer1.qcow2", i)));
    }
    return disks;
}

LockFile lock_of(const recipes::Recipe& recipe, const std::optional<Digest>& parent,
                 const std::vector<PlannedLayer>& plan, const LayerStack& layers)
{
    LockFile lock{.inputs = locked_inputs(recipe, parent)};
    for (std::size_t i = 0; i < plan.size(); ++i) {
        if (!plan[i].lock_name.empty()) {
            const Json& packages = member(layers.at(i).record().facts, "packages", "a cached layer");
            lock.layers.push_back({plan[i].lock_name, installed_packages_from_json(packages)});
        }
    }
    return lock;
}

// Over a base with disks of its own, a volume without parts is one of those, made larger.
void grow_base(recipes::Recipe& recipe, BuildOptions& options)
{
    if (!options.parent) {
        return;
    }
    for (const recipes::Volume& volume : recipe.volumes) {
        const auto found =
            std::ranges::find(options.parent->volumes, volume.device, &ParentImage::ParentVolume::device);
        if (found == options.parent->volumes.end()) {
            continue;
        }
        if (!volume.parts.empty()) {
            throw Error(ErrorKind::recipe, fmt::format("the parent has a volume {} already", volume.device),
                        "give the new volume another device");
        }
        if (volume.size < found->size) {
            throw Error(ErrorKind::recipe,
                        fmt::format("the volume {} has {} in the parent, and {} in the recipe", volume.device,
                                    to_string(found->size), to_string(volume.size)),
                        "a volume can only grow");
        }
        found->size = volume.size;
    }
    std::erase_if(recipe.volumes, [](const recipes::Volume& volume) { return volume.parts.empty(); });
}

} // namespace

ByteSize imported_size(const LayerRecord& record)
{
    return ByteSize(static_cast<std::uint64_t>(integer_member(record.facts, "size", "a cached layer")));
}

DiskSet build(recipes::Recipe recipe, BuildOptions options, Progress& progress, const std::stop_token& stop)
{
    grow_base(recipe, options);
    const ByteSize limit = cache_limit();
    LayerCache cache(options.cache);
    const std::optional<Digest> ground = options.parent ? std::optional(options.parent->manifest) : std::nullopt;
    const std::vector<PlannedLayer> plan = plan_layers(recipe, ground, options.lock ? &*options.lock : nullptr);
    LayerStack layers(cache, plan, ground ? ground->to_string() : std::string(), options.look_up);
    layers.find(progress, stop);
    if (layers.size() > 0) {
        progress.note(fmt::format("{} of {} layers are in the cache", layers.size(), plan.size()));
    }
    if (!layers.complete()) {
        require_host(options);
        Workshop(recipe, plan, layers, options, progress, stop).make_missing_layers();
    }
    layers.make_durable();
    DiskSet disks = finished_disks(recipe, plan, layers, options);
    disks.lock = lock_of(recipe, ground, plan, layers);
    if (options.lock) {
        require_same(*options.lock, disks.lock); // whoever made the layers
    }
    cache.evict(limit);
    return disks;
}

} // namespace kiln::builder
