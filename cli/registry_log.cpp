// SPDX-License-Identifier: Apache-2.0
// kiln registry log: what was done in a region, by whom and when: signed events, and local actions that nobody signs.
#include "cli/context.h"
#include "cli/image_text.h"
#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{
namespace
{

struct LogOptions {
    std::string image;
    std::string since;
};

std::string since_time(const std::string& text)
{
    constexpr std::size_t day_length = 10;
    std::string time = text.size() == day_length ? text + "T00:00:00Z" : text;
    if (!text.empty() && !is_iso_time(time)) {
        throw Error(ErrorKind::usage, fmt::format("--since \"{}\" is not a time", printable(text, false)),
                    "write it like 2026-11-23, or 2026-11-23T17:44:58Z (UTC)");
    }
    return time;
}

std::string details_of(const registry::AuditEntry& entry)
{
    if (entry.number) {
        const std::string details = event_details(entry.action, entry.details);
        return entry.verified ? details : "NOT SIGNED BY A TRUSTED KEY " + details;
    }
    const auto number = [&](const char* key) { return entry.details.value(key, std::uint64_t{0}); };
    if (entry.action == "collect") {
        return fmt::format("{} blobs, {}", number("blobs"), to_string(ByteSize(number("freed"))));
    }
    if (entry.action == "repair") {
        const auto damages = entry.details.find("damages");
        return fmt::format("{} damages", damages != entry.details.end() ? damages->size() : 0);
    }
    const auto text = [&](const char* key) {
        const auto found = entry.details.find(key);
        return found != entry.details.end() && found->is_string() ? printable(found->get<std::string>(), false)
                                                                  : std::string();
    };
    return entry.action == "refused" ? fmt::format("{}: {}", text("what"), text("kind")) : std::string();
}

Json to_json(const registry::AuditEntry& entry)
{
    return {{"time", entry.time},
            {"number", entry.number ? Json(*entry.number) : Json()},
            {"account", entry.account.empty() ? Json() : Json(entry.account)},
            {"action", entry.action},
            {"image_id", entry.image ? Json(*entry.image) : Json()},
            {"details", entry.details},
            {"signed", entry.number.has_value()},
            {"verified", entry.verified}};
}

void log(Context& context, const LogOptions& options)
{
    const std::string since = since_time(options.since);
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    std::string image = options.image;
    if (!image.empty() && !(is_resource_id("ami-", image) && region->find_id(image))) {
        image = region->resolve(image, trust).id;
    }
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"EVENT", "TIME", "ACCOUNT", "IMAGE", "ACTION", "DETAILS"}};
    for (const registry::AuditEntry& entry : region->audit_log(trust)) {
        if (entry.time < since || (!image.empty() && entry.image != image)) {
            continue;
        }
        json.push_back(to_json(entry));
        rows.push_back({entry.number ? std::to_string(*entry.number) : "-", printable(entry.time, false),
                        entry.account.empty() ? "-" : printable(entry.account, false), entry.image.value_or("-"),
                        printable(entry.action, false), details_of(entry)});
    }
    print_result(context, json, rows.size() == 1 ? "Nothing is in the log.\n" : table(rows));
}

} // namespace

void add_registry_log(CLI::App& registry, Context& context)
{
    CLI::App* command = registry.add_subcommand("log", "What was done in the region: its audit log");
    auto options = std::make_shared<LogOptions>();
    command->add_option("--image", options->image, "Of this AMI only: an id, NAME, NAME@1.2.x")->type_name("AMI");
    command->add_option("--since", options->since, "2026-11-23, or 2026-11-23T17:44:58Z")->type_name("TIME");
    on_run_in_region(*command, context, [&context, options] { log(context, *options); });
}

} // namespace kiln::cli
