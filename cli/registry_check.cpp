// SPDX-License-Identifier: Apache-2.0
// kiln registry check: is all that the region stores what it was?
#include "cli/context.h"
#include "cli/region_names.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "core/transfer_meter.h"
#include "registry/upkeep/check.h"

#include <fmt/format.h>

#include <iterator>

namespace kiln::cli
{
namespace
{

std::vector<registry::BlobSource> other_regions(const Context& context)
{
    std::vector<registry::BlobSource> sources;
    for (const std::string& name : region_names(context)) {
        if (name != context.region) {
            sources.push_back(registry::blobs_of("region " + name, context.paths.regions / name));
        }
    }
    return sources;
}

std::string describe(const registry::Damage& damage)
{
    std::string text = fmt::format("{}  {}: {}\n", damage.healed ? "healed " : "DAMAGED",
                                   printable(damage.subject, false), printable(damage.detail, false));
    if (!damage.images.empty()) {
        text += fmt::format("         of {}\n", join(damage.images, ", "));
    }
    if (!damage.repair.empty()) {
        text += fmt::format("         {}\n", printable(damage.repair, false));
    }
    return text;
}

std::string describe(const registry::CheckReport& report, const std::string& region, bool repair)
{
    std::string text;
    std::size_t left = 0;
    for (const registry::Damage& damage : report.damages) {
        text += describe(damage);
        left += damage.healed ? 0 : 1;
    }
    text += fmt::format("region {}: {} images, {} blobs of {}, {} events: {}\n", region, report.images, report.blobs,
                        to_string(report.bytes), report.events,
                        report.damages.empty() ? std::string("all is as it should be")
                        : left == 0            ? fmt::format("{} damages, all healed", report.damages.size())
                                               : fmt::format("{} of {} damages are left", left, report.damages.size()));
    if (!report.unverified.empty()) {
        text += fmt::format("The events of account {} are not signed by a key that is trusted here: they were only "
                            "checked for gaps.\n",
                            join(report.unverified, ", "));
    }
    if (report.garbage > 0) {
        text += fmt::format("{} blobs are needed by nothing; `kiln registry gc` removes them.\n", report.garbage);
    }
    if (left > 0) {
        text += repair ? "What an image lost, the same bundle brings back: `kiln image import FILE`.\n"
                       : "`kiln registry check --repair` sets aside what is damaged and restores what it can.\n";
    }
    return text;
}

Json to_json(const registry::Damage& damage)
{
    return {{"kind", damage.kind},
            {"subject", printable(damage.subject)},
            {"detail", printable(damage.detail)},
            {"images", damage.images},
            {"repair", damage.repair.empty() ? Json() : Json(printable(damage.repair))},
            {"healed", damage.healed}};
}

registry::CheckReport check_region(const Context& context, bool repair, Progress& progress)
{
    TransferMeter meter(progress);
    std::vector<registry::Damage> layout = registry::check_layout_file(context.paths.regions / context.region, repair);
    if (!layout.empty() && !layout.front().healed) {
        return {.damages = std::move(layout)}; // nothing else can be read
    }
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    const auto account = signing::find_account(context.paths);
    registry::CheckReport report =
        region->check({.trust = trust,
                       .repair = repair,
                       .sources = other_regions(context),
                       .account = account ? account->id : std::string(),
                       .progress = [&](ByteSize done, ByteSize total) { meter.show(done, total); },
                       .stop = context.stop});
    report.damages.insert(report.damages.begin(), std::make_move_iterator(layout.begin()),
                          std::make_move_iterator(layout.end()));
    return report;
}

void check(Context& context, bool repair)
{
    if (!is_region_name(context.region)) {
        static_cast<void>(context.open_region()); // says what is wrong with it
    }
    Progress progress;
    progress.stage(fmt::format("check region {}", context.region));
    const registry::CheckReport report = check_region(context, repair, progress);
    progress.finish();
    Json damages = Json::array();
    for (const registry::Damage& damage : report.damages) {
        damages.push_back(to_json(damage));
    }
    print_result(context,
                 {{"region", context.region},
                  {"whole", report.whole()},
                  {"damages", damages},
                  {"images", report.images},
                  {"blobs", report.blobs},
                  {"bytes", report.bytes.bytes()},
                  {"events", report.events},
                  {"unverified_accounts", report.unverified},
                  {"unneeded_blobs", report.garbage}},
                 describe(report, context.region, repair));
    if (!report.whole()) {
        context.exit_status = exit_code(ErrorKind::damaged);
    }
}

} // namespace

void add_registry_check(CLI::App& registry, Context& context)
{
    CLI::App* command = registry.add_subcommand("check", "Read all that is stored, and say what is damaged");
    auto repair = std::make_shared<bool>(false);
    command->add_flag("--repair", *repair, "Set aside what is damaged; restore it from another region");
    on_run_in_region(*command, context, [&context, repair] { check(context, *repair); });
}

} // namespace kiln::cli
