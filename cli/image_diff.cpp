// SPDX-License-Identifier: Apache-2.0
// kiln image diff: what two AMIs differ in.
#include "cli/context.h"
#include "cli/image_drift.h"
#include "core/progress.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct DiffOptions {
    std::string before;
    std::string after;
    bool all = false;
};

Json side(const ReadableImage& side)
{
    return {{"image_id", side.image.id},
            {"name", side.image.name},
            {"version", side.image.version.to_string()},
            {"virtual_size", side.image.virtual_size.bytes()},
            {"stored_size", side.image.stored_size.bytes()}};
}

void diff(Context& context, const DiffOptions& options)
{
    const auto region = context.open_region();
    Progress progress;
    progress.stage("verify both AMIs");
    const ReadableImage before = readable_image(context, *region, options.before);
    const ReadableImage after = readable_image(context, *region, options.after);
    const WorkFolders work(context.paths, "diff-");
    const builder::ImageDiff found = diff_disks(context, work, before.disks, after.disks, progress);
    progress.finish();
    Json json = builder::to_json(found);
    json["before"] = side(before);
    json["after"] = side(after);
    std::string text = diff_text(found, options.all);
    if (before.image.virtual_size != after.image.virtual_size || before.image.stored_size != after.image.stored_size) {
        text += fmt::format("disks: {} -> {}, stored: {} -> {}\n", to_string(before.image.virtual_size),
                            to_string(after.image.virtual_size), to_string(before.image.stored_size),
                            to_string(after.image.stored_size));
    }
    print_result(context, json, text);
}

} // namespace

void add_image_diff(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("diff", "Packages, files, users, services that two differ in");
    auto options = std::make_shared<DiffOptions>();
    command->add_option("before", options->before, image_reference_help)->required()->type_name("AMI");
    command->add_option("after", options->after, image_reference_help)->required()->type_name("AMI");
    command->add_flag("--all", options->all, "Also files of packages that differ, logs and caches");
    on_run_in_region(*command, context, [&context, options] { diff(context, *options); });
}

} // namespace kiln::cli
