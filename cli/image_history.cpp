// SPDX-License-Identifier: Apache-2.0
// kiln image history: the audit log of an AMI, once every event of it is verified.
#include "cli/context.h"
#include "cli/image_text.h"
#include "core/random.h"
#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

void history(Context& context, const std::string& reference)
{
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    // Also of a deregistered one, by its id.
    auto image = is_resource_id("ami-", reference) ? region->find_id(reference) : std::nullopt;
    if (!image) {
        image = region->resolve(reference, trust);
    }
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"EVENT", "TIME", "ACCOUNT", "ACTION", "DETAILS"}};
    for (const signing::Event& event : region->history(*image, trust)) {
        json.push_back({{"number", event.number},
                        {"time", event.time},
                        {"account", event.account},
                        {"image_id", event.image},
                        {"manifest", event.manifest.to_string()},
                        {"action", event.action},
                        {"arguments", event.arguments}});
        rows.push_back({std::to_string(event.number), event.time, event.account, event.action,
                        event_details(event.action, event.arguments)});
    }
    print_result(context, json,
                 rows.size() == 1
                     ? fmt::format("{} was published by an older Kiln, and nothing changed since.\n", image->id)
                     : table(rows));
}

} // namespace

void add_image_history(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("history", "What its holder did with it: signed events");
    auto reference = std::make_shared<std::string>();
    command->add_option("image", *reference, image_reference_help)->required()->type_name("AMI");
    on_run_in_region(*command, context, [&context, reference] { history(context, *reference); });
}

} // namespace kiln::cli
