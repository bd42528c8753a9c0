// SPDX-License-Identifier: Apache-2.0
// kiln registry gc: removes what nothing in the region needs. Named as in every store; the rest of Kiln says "collect".
#include "cli/context.h"
#include "cli/instances_in_use.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/warm/template_making.h"
#include "registry/upkeep/collect.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

// Of builds, snapshots and launches that were killed.
int sweep_work_folders(const Paths& paths)
{
    return WorkFolder::sweep_abandoned(paths.work) + WorkFolder::sweep_abandoned(paths.run / "work");
}

std::string describe(const registry::Collected& collected, const std::string& region, bool dry_run)
{
    std::vector<std::vector<std::string>> rows = {{"WHAT", "SIZE"}};
    for (const registry::Collected::Blob& blob : collected.blobs) {
        rows.push_back({blob.digest.to_string(), to_string(blob.size)});
    }
    for (const std::string& leftover : collected.leftovers) {
        rows.push_back({printable(leftover, false), "-"});
    }
    return (rows.size() == 1 ? std::string() : table(rows)) +
           fmt::format("region {}: {} {} blobs ({} free{}), {} entries of its index and {} leftovers; {} blobs stay\n",
                       region, dry_run ? "would remove" : "removed", collected.blobs.size(), to_string(collected.freed),
                       dry_run ? "" : "d", collected.index_entries.size(), collected.leftovers.size(), collected.kept);
}

void collect(Context& context, bool dry_run)
{
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    const auto account = signing::find_account(context.paths);
    const registry::Collected collected =
        region->collect({.trust = trust,
                         .layers_in_use = [&] { return layers_in_use(context.paths); },
                         .account = account ? account->id : std::string(),
                         .dry_run = dry_run,
                         .stop = context.stop});
    const int ended = dry_run ? 0 : launcher::end_abandoned_templates(context.paths);
    const int swept = dry_run ? 0 : sweep_work_folders(context.paths);
    Json blobs = Json::array();
    for (const registry::Collected::Blob& blob : collected.blobs) {
        blobs.push_back({{"digest", blob.digest.to_string()}, {"size", blob.size.bytes()}});
    }
    print_result(context,
                 {{"region", region->name()},
                  {"dry_run", dry_run},
                  {"blobs", blobs},
                  {"freed", collected.freed.bytes()},
                  {"index_entries", collected.index_entries},
                  {"leftovers", collected.leftovers},
                  {"work_folders", swept},
                  {"abandoned_templates", ended},
                  {"kept", collected.kept},
                  {"kept_for_processes_and_instances", collected.leased}},
                 describe(collected, region->name(), dry_run));
}

} // namespace

void add_registry_collect(CLI::App& registry, Context& context)
{
    CLI::App* command = registry.add_subcommand("gc", "Remove the blobs that nothing needs any more");
    auto dry_run = std::make_shared<bool>(false);
    command->add_flag("--dry-run", *dry_run, "Tell what would be removed, and remove nothing");
    on_run_in_region(*command, context, [&context, dry_run] { collect(context, *dry_run); });
}

} // namespace kiln::cli
