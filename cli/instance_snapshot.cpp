// SPDX-License-Identifier: Apache-2.0
// kiln instance snapshot: the launcher freezes the disks, the builder makes layers of what changed in them, and the AMI
// is published as a build is.
#include "builder/seal_copies.h"
#include "bundle/manifest.h"
#include "cli/context.h"
#include "cli/image_drift.h"
#include "cli/launch_image.h"
#include "cli/publish.h"
#include "cli/work_folders.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "launcher/life/life.h"
#include "launcher/snapshot/snapshot.h"
#include "launcher/storage/volume_store.h"
#include "launcher/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <iterator>

namespace kiln::cli
{
namespace
{

struct SnapshotOptions {
    std::string instance;
    std::string name;
    std::string version;
    std::string description;
    std::string volumes = "all";
    std::string rate;
    std::vector<std::string> tags;
    bool no_freeze = false;
    bool stop = false;
    bool exact = false;
    bool wait = false;
    bool cancel = false;
};

// What the new layers go on, and how the AMI is called.
struct SnapshotBase {
    registry::Image parent; // the AMI of the instance
    bundle::Manifest manifest;
    std::vector<bundle::BlockDeviceMapping> devices; // whose layers are shared
    std::vector<registry::Lease> leases;             // they stay until the child has them
};

SemanticVersion require_valid(const SnapshotOptions& options)
{
    const auto version = parse_semantic_version(options.version);
    if (!bundle::is_image_name(options.name) || !version) {
        throw Error(ErrorKind::usage,
                    !version ? fmt::format("--version: \"{}\" is not a version", options.version)
                             : fmt::format("--name: \"{}\" is not an image name", options.name),
                    "a name has 3 to 128 lower-case letters, digits and inner - . _; a version is like 1.0.0");
    }
    return *version;
}

std::optional<ByteSize> parse_rate(const std::string& text)
{
    if (text.empty()) {
        return std::nullopt;
    }
    const auto rate = parse_byte_size(text);
    if (!rate || *rate < mebibytes(1)) {
        throw Error(ErrorKind::usage, fmt::format("--rate: \"{}\" is not a size of at least 1MiB", text),
                    "it is bytes a second, like 50MiB");
    }
    return rate;
}

// The AMI of an earlier snapshot, where it is there and whole, is what the disks differ least from.
void prefer_last_snapshot(const Context& context, const registry::Region& region, const launcher::Instance& instance,
                          SnapshotBase& base)
{
    const std::string id = launcher::last_snapshot(context.paths, instance);
    if (id.empty()) {
        return;
    }
    try {
        ReadableImage last = readable_image(context, region, id);
        if (last.manifest.source.instance != instance.id) {
            return;
        }
        for (const bundle::BlockDeviceMapping& mapping : last.manifest.block_devices) {
            const auto found = std::ranges::find(base.devices, mapping.device, &bundle::BlockDeviceMapping::device);
            if (found != base.devices.end()) {
                *found = mapping;
            } else { // of a volume that was attached since the launch
                base.devices.push_back(mapping);
            }
        }
        base.leases.push_back(std::move(last.lease));
    } catch (const Error& error) { // deregistered, or damaged: more is stored then
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
    }
}

SnapshotBase find_base(const Context& context, const registry::Region& region, const launcher::Instance& instance)
{
    const auto known = region.find_id(instance.image_id); // perhaps deregistered: its layers are still there
    registry::Image parent = known ? *known : region.resolve(instance.image_id);
    SnapshotBase base{.parent = parent, .manifest = region.load_manifest(parent), .devices = {}, .leases = {}};
    base.leases.push_back(region.lease({parent.manifest}));
    base.devices = base.manifest.block_devices;
    prefer_last_snapshot(context, region, instance, base);
    return base;
}

// As they are recorded, in the order of to_builder().
std::vector<ByteSize> sizes_of_disks(const Context& context, const launcher::Instance& instance, bool root_only)
{
    std::vector<ByteSize> sizes;
    const launcher::Instance whole = launcher::with_volumes(context.paths, instance);
    for (const auto& disks : {whole.disks, whole.volumes}) {
        std::ranges::transform(disks, std::back_inserter(sizes), &launcher::InstanceDisk::size);
    }
    sizes.resize(root_only ? 1 : sizes.size());
    return sizes;
}

std::vector<builder::FrozenVolume> to_builder(const registry::Region& region, const SnapshotBase& base,
                                              const launcher::FrozenDisks& frozen, bool root_only)
{
    std::vector<builder::FrozenVolume> volumes;
    for (const launcher::FrozenDisk& one : frozen.disks) {
        // A volume beside the AMI's devices becomes one of the new AMI's, whose names are those of virtio disks.
        builder::FrozenVolume volume{.device = fmt::format("/dev/vd{}", launcher::device_letter(one.disk.device)),
                                     .size = one.disk.size,
                                     .delete_on_termination = one.disk.delete_on_termination,
                                     .layers = one.disk.layers,
                                     .overlays = one.overlays,
                                     .base = {}};
        const auto mapping = std::ranges::find(base.devices, volume.device, &bundle::BlockDeviceMapping::device);
        if (mapping != base.devices.end()) {
            for (const bundle::LayerReference& layer : mapping->layers) {
                volume.base.push_back(region.layout().blob_path(layer.digest));
            }
        }
        volumes.push_back(std::move(volume));
        if (root_only) {
            break; // it is the first
        }
    }
    return volumes;
}

// The child's manifest: what the parent says, with a name, an origin and a lineage of its own.
bundle::Manifest manifest_for(const SnapshotBase& base, const launcher::Instance& instance,
                              const SnapshotOptions& options, const launcher::FrozenDisks& frozen,
                              const std::vector<builder::FrozenVolume>& volumes)
{
    bundle::Manifest manifest = base.manifest;
    manifest.name = options.name;
    manifest.version = require_valid(options);
    manifest.description = options.description.empty() ? manifest.description : options.description;
    manifest.launch_public = false;
    manifest.launch.accounts.clear(); // whom the parent was shared with, and its age, are its own
    manifest.launch.deprecated_on.reset();
    manifest.parent = bundle::Parent{base.manifest.name, base.manifest.version, base.parent.manifest};
    manifest.source = {};
    manifest.source.kind = "instance";
    manifest.source.recipe = base.manifest.source.recipe;
    manifest.source.instance = instance.id;
    manifest.source.consistency = frozen.consistency;
    manifest.source.snapshot.emplace();
    manifest.source.snapshot->exact = options.exact;
    manifest.source.snapshot->frozen_us = frozen.frozen_for.count();
    if (!frozen.reason.empty()) {
        manifest.source.snapshot->consistency_reason = printable(frozen.reason, false).substr(0, 1000);
    }
    manifest.block_devices = base.devices;
    std::erase_if(manifest.block_devices, [&](const bundle::BlockDeviceMapping& mapping) {
        return std::ranges::find(volumes, mapping.device, &builder::FrozenVolume::device) == volumes.end();
    });
    if (instance.unsigned_image) {
        // The account signs what it took from an image that nobody trusted did: that stays visible.
        manifest.tags["kiln:unsigned-parent"] = instance.image_id;
    }
    for (const auto& [key, value] : launcher::parse_tags(options.tags)) {
        manifest.tags[key] = value;
    }
    return manifest;
}

// The parent's account of itself, for disks that were not looked into.
builder::Software software_of(const bundle::Manifest& parent)
{
    builder::Software software{.os = {parent.os_distribution, parent.os_version, parent.os_name}, .packages = {}};
    for (const bundle::Software& package : parent.software) {
        software.packages.push_back({package.name, package.version, package.architecture});
    }
    return software;
}

// From the parent to the disks as they will be published. An AMI without it is better than none.
std::optional<bundle::Drift> find_drift(const Context& context, const registry::Region& region,
                                        const SnapshotBase& base, const std::vector<builder::FrozenVolume>& volumes,
                                        const builder::DiskSet& disks, Progress& progress)
{
    std::vector<builder::ImageDisk> after;
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        builder::ImageDisk disk{.size = volumes[i].size, .layers = volumes[i].base};
        disk.layers.resize(disks.volumes.at(i).kept_below.value_or(disk.layers.size()));
        for (const builder::FinishedLayer& layer : disks.volumes.at(i).layers) {
            disk.layers.push_back(layer.file);
        }
        after.push_back(std::move(disk));
    }
    try {
        const WorkFolders work(context.paths, "diff-");
        return drift_of(diff_disks(context, work, disks_of(region, base.manifest), after, progress));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        progress.note(fmt::format("the drift from {} is not recorded: {}", base.parent.id, printable(error.what())));
        return std::nullopt;
    }
}

ByteSize size_of_new(const builder::DiskSet& disks)
{
    ByteSize size;
    for (const builder::Volume& volume : disks.volumes) {
        for (const builder::FinishedLayer& layer : volume.layers) {
            size = size + ByteSize(std::filesystem::file_size(layer.file));
        }
    }
    return size;
}

// Stops a running instance, freezes its disks, and starts it again.
launcher::FrozenDisks freeze_stopped(const Context& context, const launcher::Instance& instance, Progress& progress)
{
    const bool was_running = instance.state == launcher::InstanceState::running;
    if (was_running) {
        progress.stage(fmt::format("stop {}", instance.id));
        launcher::begin_stop(context.paths, instance.id, {}, context.stop);
        static_cast<void>(launcher::wait_for_state(
            context.paths, instance.id, launcher::InstanceState::stopped,
            launcher::shutdown_patience(context.paths, instance.accelerator) + std::chrono::seconds(60), context.stop));
    }
    launcher::FrozenDisks frozen = launcher::freeze_disks(context.paths, instance, false, context.stop);
    if (was_running) {
        progress.stage(fmt::format("start {}", instance.id));
        static_cast<void>(start_instance(context, launcher::resolve_instance(context.paths, instance.id), false));
    }
    return frozen;
}

void print_snapshot(const Context& context, const registry::Image& image, const std::string& region,
                    const bundle::SnapshotFacts& facts, const launcher::FrozenDisks& frozen,
                    const launcher::Instance& instance, ByteSize stored)
{
    Json json = to_json(image, region);
    json["instance_id"] = instance.id;
    json["consistency"] = frozen.consistency;
    json["consistency_reason"] = facts.consistency_reason ? Json(*facts.consistency_reason) : Json();
    json["frozen_ms"] = static_cast<double>(facts.frozen_us) / 1000.0;
    json["exact"] = facts.exact;
    json["new_layers_size"] = stored.bytes();
    json["drift"] = facts.drift ? bundle::to_json(*facts.drift) : Json();
    print_result(context, json,
                 fmt::format("{}  {} {}  {}-consistent{}, the guest was frozen for {} ms, {} stored\n", image.id,
                             image.name, image.version.to_string(), frozen.consistency,
                             facts.consistency_reason ? " (" + *facts.consistency_reason + ")" : "",
                             (facts.frozen_us + 999) / 1000, to_string(stored)));
}

void snapshot(Context& context, const SnapshotOptions& options)
{
    const SemanticVersion version = require_valid(options);
    const auto rate = parse_rate(options.rate);
    static_cast<void>(launcher::parse_tags(options.tags));
    const launcher::Instance instance = launcher::resolve_instance(context.paths, options.instance);
    const auto region = context.open_region(instance.region);
    const SnapshotBase base = find_base(context, *region, instance);
    require_free_version(*region, options.name, version, base.manifest.architecture);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const WorkFolders work(context.paths, "snapshot-");
    const launcher::SnapshotMark mark(context.paths, instance);

    Progress progress;
    progress.stage(fmt::format("freeze the disks of {}", instance.id));
    auto layers =
        std::async(std::launch::async, [&, sizes = sizes_of_disks(context, instance, options.volumes == "root")] {
            builder::make_empty_layers(sizes, work.disks.path());
        });
    launcher::FrozenDisks frozen =
        options.stop ? freeze_stopped(context, instance, progress)
                     : launcher::freeze_disks(context.paths, instance, !options.no_freeze, context.stop);
    layers.get();
    const auto volumes = to_builder(*region, base, frozen, options.volumes == "root");
    const builder::SealOptions sealing{.accelerator = options.exact ? Accelerator::tcg : context.accelerator(),
                                       .work = work.disks.path(),
                                       .cache = context.paths.cache,
                                       .sockets = work.sockets.path(),
                                       .exact = options.exact,
                                       .rate = rate};
    builder::DiskSet disks = builder::seal_copies(volumes, sealing, progress, context.stop);
    bundle::Manifest manifest = manifest_for(base, instance, options, frozen, volumes);
    manifest.owner = account.id;
    if (options.exact) {
        disks.software = software_of(base.manifest);
    } else {
        manifest.source.snapshot->drift = find_drift(context, *region, base, volumes, disks, progress);
    }
    const bundle::SnapshotFacts facts = *manifest.source.snapshot;
    const ByteSize stored = size_of_new(disks);
    progress.stage("sign and publish");
    const registry::Image image = publish(*region, std::move(manifest), disks, {}, key);
    launcher::note_snapshot(context.paths, instance, image.id);
    if (options.wait) {
        progress.stage("wait until the disks are merged");
    }
    print_snapshot(context, image, region->name(), facts, frozen, instance, stored);
    launcher::release_disks(context.paths, instance, std::move(frozen), options.wait, context.stop);
    progress.finish();
}

void cancel(Context& context, const SnapshotOptions& options)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, options.instance);
    const std::size_t cancelled = launcher::cancel_snapshots(context.paths, instance, context.stop);
    print_result(context, {{"instance_id", instance.id}, {"cancelled", cancelled}},
                 cancelled == 0 ? fmt::format("no snapshot of {} is under way\n", instance.id)
                                : fmt::format("{}  {} cancelled\n", instance.id, cancelled));
}

} // namespace

void add_instance_snapshot(CLI::App& instance, Context& context)
{
    CLI::App* command = instance.add_subcommand("snapshot", "Keep an instance as a new signed AMI; it runs on");
    auto options = std::make_shared<SnapshotOptions>();
    command->add_option("instance", options->instance, "Its id or name")->required()->type_name("INSTANCE");
    command->add_option("--name", options->name, "Name of the new AMI")->type_name("NAME");
    command->add_option("--version", options->version, "Version of the new AMI, like 1.0.0")->type_name("VERSION");
    command->add_option("--description", options->description, "Description of the new AMI (default: the parent's)")
        ->type_name("TEXT");
    command->add_option("--tag", options->tags, "A tag of the new AMI; may come several times")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    command->add_option("--volumes", options->volumes, "all (the default) or root: which disks the AMI has")
        ->check(CLI::IsMember({"all", "root"}))
        ->type_name("WHICH");
    command->add_option("--rate", options->rate, "Most bytes a second that are read of its disks, like 50MiB")
        ->type_name("SIZE");
    auto* no_freeze =
        command->add_flag("--no-freeze", options->no_freeze, "As after a loss of power: ask nothing of the guest");
    command->add_flag("--stop", options->stop, "Shut it down first and start it again at once")->excludes(no_freeze);
    command->add_flag("--exact", options->exact, "Keep all, also its identity: host keys, machine id, logs, leases");
    command->add_flag("--wait", options->wait,
                      "Return when its disks are merged again, not as soon as the AMI is there");
    command->add_flag("--cancel", options->cancel, "Cancel the snapshots of it that are under way");
    on_run(*command, context, [&context, options] {
        if (options->cancel) {
            cancel(context, *options);
        } else {
            snapshot(context, *options);
        }
    });
}

} // namespace kiln::cli
