// SPDX-License-Identifier: Apache-2.0
// kiln instance snapshot: the launcher copies the disks, the builder seals the copy, and it is
// published as a build is.
#include "builder/seal_copies.h"
#include "bundle/manifest.h"
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/work_folders.h"
#include "core/error.h"
#include "core/progress.h"
#include "launcher/guest.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct SnapshotOptions {
    std::string instance;
    std::string name;
    std::string version;
    std::string description;
};

std::vector<builder::DiskCopy> to_builder(const launcher::DiskCopies& copies)
{
    std::vector<builder::DiskCopy> result;
    for (const launcher::CopiedDisk& copy : copies.disks) {
        result.push_back({.device = copy.disk.device,
                          .size = copy.disk.size,
                          .delete_on_termination = copy.disk.delete_on_termination,
                          .layers = copy.disk.layers,
                          .delta = copy.delta});
    }
    return result;
}

// The child's manifest: what the parent says, with a name, an origin and a lineage of its own.
bundle::Manifest manifest_for(const bundle::Manifest& parent, const registry::Image& parent_image,
                              const launcher::Instance& instance, const std::string& owner)
{
    bundle::Manifest manifest = parent;
    manifest.owner = owner;
    manifest.launch_public = false;
    manifest.launch.accounts.clear(); // whom the parent was shared with, and its age, are its own
    manifest.launch.deprecated_on.reset();
    manifest.parent = bundle::Parent{parent.name, parent.version, parent_image.manifest};
    manifest.source = {};
    manifest.source.kind = "instance";
    manifest.source.recipe = parent.source.recipe;
    manifest.source.instance = instance.id;
    return manifest;
}

void snapshot(Context& context, const SnapshotOptions& options)
{
    const auto version = parse_semantic_version(options.version);
    if (!bundle::is_image_name(options.name) || !version) {
        throw Error(ErrorKind::usage,
                    !version ? fmt::format("--version: \"{}\" is not a version", options.version)
                             : fmt::format("--name: \"{}\" is not an image name", options.name),
                    "a name has 3 to 128 lower-case letters, digits and inner - . _; a version is like 1.0.0");
    }
    const launcher::Instance instance = launcher::resolve_instance(context.paths, options.instance);
    const auto region = context.open_region(instance.region);
    const auto known = region->find_id(instance.image_id); // perhaps deregistered: its layers are still there
    const registry::Image parent_image = known ? *known : region->resolve(instance.image_id);
    const registry::Lease parent_lease =
        region->lease({parent_image.manifest}); // its layers stay until the child has them
    const bundle::Manifest parent = region->load_manifest(parent_image);
    require_free_version(*region, options.name, *version, parent.architecture);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const Accelerator accelerator = context.accelerator();
    const WorkFolders work(context.paths, "snapshot-");

    Progress progress;
    progress.stage(fmt::format("copy the disks of {}", instance.id));
    const launcher::DiskCopies copies = launcher::copy_disks(context.paths, instance, work.disks.path(), context.stop);
    const builder::DiskSet disks = builder::seal_copies(
        to_builder(copies), {accelerator, work.disks.path(), context.paths.cache, work.sockets.path()}, progress,
        context.stop);
    progress.stage("sign and publish");
    bundle::Manifest manifest = manifest_for(parent, parent_image, instance, account.id);
    manifest.name = options.name;
    manifest.version = *version;
    if (!options.description.empty()) {
        manifest.description = options.description;
    }
    manifest.source.consistency = copies.consistency;
    if (instance.unsigned_image) {
        // The account signs what it took from an image that nobody trusted did: that stays visible.
        manifest.tags["kiln:unsigned-parent"] = instance.image_id;
    }
    const registry::Image image = publish(*region, std::move(manifest), disks, {}, key);
    progress.finish();

    Json json = to_json(image, region->name());
    json["consistency"] = copies.consistency;
    json["consistency_reason"] = copies.consistency_reason.empty() ? Json() : Json(copies.consistency_reason);
    json["frozen_ms"] = copies.frozen_for.count();
    print_result(context, json,
                 fmt::format("{}  {} {}  {}-consistent{}, the guest was frozen for {} ms; {} runs on\n", image.id,
                             image.name, image.version.to_string(), copies.consistency,
                             copies.consistency_reason.empty() ? "" : " (" + copies.consistency_reason + ")",
                             copies.frozen_for.count(), instance.id));
}

} // namespace

void add_instance_snapshot(CLI::App& instance, Context& context)
{
    CLI::App* command = instance.add_subcommand("snapshot", "Keep a running instance as a new signed AMI; it runs on");
    auto options = std::make_shared<SnapshotOptions>();
    command->add_option("instance", options->instance, "Its id or name")->required()->type_name("INSTANCE");
    command->add_option("--name", options->name, "Name of the new AMI")->required()->type_name("NAME");
    command->add_option("--version", options->version, "Version of the new AMI, like 1.0.0")
        ->required()
        ->type_name("VERSION");
    command->add_option("--description", options->description, "Description of the new AMI (default: the parent's)")
        ->type_name("TEXT");
    on_run(*command, context, [&context, options] { snapshot(context, *options); });
}

} // namespace kiln::cli
