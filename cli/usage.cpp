// SPDX-License-Identifier: Apache-2.0
// kiln usage: what has been running, for how long, and what that would have cost.
#include "launcher/usage/usage.h"

#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/instance_type.h"
#include "launcher/usage/iso_time.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct UsageOptions {
    std::string by = "instance";
    std::string from;
    std::string to;
    bool csv = false;
};

// A day is its midnight in UTC; --to means the day as a whole.
launcher::Time parse_time(const std::string& text, const char* option, bool end_of_day)
{
    if (const auto time = launcher::parse_iso_time(text)) {
        return *time;
    }
    if (const auto day = launcher::parse_iso_time(text + "T00:00:00Z")) {
        return *day + std::chrono::days(end_of_day ? 1 : 0);
    }
    throw Error(ErrorKind::usage, fmt::format("{} \"{}\" is not a time", option, printable(text, false)),
                "use a day like 2026-11-23 or a time like 2026-11-23T17:44:58Z, in UTC");
}

launcher::Window window_of(const UsageOptions& options)
{
    launcher::Window window;
    if (!options.from.empty()) {
        window.from = parse_time(options.from, "--from", false);
    }
    if (!options.to.empty()) {
        window.to = parse_time(options.to, "--to", true);
    }
    if (window.from >= window.to) {
        throw Error(ErrorKind::usage, "--from is not before --to");
    }
    return window;
}

Json to_json(const launcher::UsageRow& row, bool total)
{
    return {{"key", total ? Json() : Json(row.key)},
            {"name", row.name.empty() ? Json() : Json(row.name)},
            {"starts", row.starts},
            {"billed_seconds", row.seconds},
            {"cost", row.cost_text()},
            {"volume_gib_hours", row.gib_hours_text()}};
}

// RFC 4180.
std::string csv_field(const std::string& text)
{
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
        return text;
    }
    std::string quoted = "\"";
    for (const char c : text) {
        quoted.append(c == '"' ? 2 : 1, c);
    }
    return quoted + "\"";
}

std::string csv(const std::vector<launcher::UsageRow>& rows, const std::string& by)
{
    std::string text = csv_field(by) + ",name,starts,billed_seconds,cost,currency,volume_gib_hours\r\n";
    for (const launcher::UsageRow& row : rows) {
        text += fmt::format("{},{},{},{},{},{},{}\r\n", csv_field(row.key), csv_field(row.name), row.starts,
                            row.seconds, row.cost_text(), launcher::currency(), row.gib_hours_text());
    }
    return text;
}

std::string hours(std::int64_t seconds)
{
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string text(const std::vector<launcher::UsageRow>& rows, const launcher::UsageRow& total, const std::string& by)
{
    std::vector<std::vector<std::string>> lines = {
        {by, "NAME", "STARTS", "BILLED", fmt::format("COST {}", launcher::currency()), "VOLUMES GiB-h"}};
    const auto add = [&lines](const launcher::UsageRow& row, const std::string& key) {
        lines.push_back({printable(key, false), row.name.empty() ? "-" : row.name, std::to_string(row.starts),
                         hours(row.seconds), row.cost_text(), row.gib_hours_text()});
    };
    for (const launcher::UsageRow& row : rows) {
        add(row, row.key);
    }
    add(total, "total");
    return table(lines);
}

void usage(const Context& context, const UsageOptions& options)
{
    const bool known = options.by == "instance" || options.by == "type" || options.by == "day" ||
                       (options.by.starts_with("tag:") && options.by.size() > 4);
    if (!known) {
        throw Error(ErrorKind::usage, fmt::format("--by \"{}\" is nothing to add up by", printable(options.by, false)),
                    "supported: instance, type, day, tag:KEY");
    }
    if (options.csv && context.json) {
        throw Error(ErrorKind::usage, "--csv and --json exclude each other");
    }
    const launcher::Window window = window_of(options);
    const launcher::Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const auto rows = launcher::add_up(launcher::load_histories(context.paths, now), options.by, window, now,
                                       launcher::load_volume_histories(context.paths));
    launcher::UsageRow total;
    Json json = Json::array();
    for (const launcher::UsageRow& row : rows) {
        total.add(row);
        json.push_back(to_json(row, false));
    }
    print_result(context,
                 {{"by", options.by},
                  {"from", options.from.empty() ? Json() : Json(iso_time(window.from))},
                  {"to", options.to.empty() ? Json() : Json(iso_time(window.to))},
                  {"until", iso_time(now)},
                  {"currency", launcher::currency()},
                  {"rows", json},
                  {"total", to_json(total, true)}},
                 options.csv    ? csv(rows, options.by)
                 : rows.empty() ? "Nothing has run.\n"
                                : text(rows, total, options.by));
}

} // namespace

void add_usage(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("usage", "What has been running, how long, and at what cost");
    auto options = std::make_shared<UsageOptions>();
    command->add_option("--by", options->by, "instance, type, day (in UTC) or tag:KEY")
        ->capture_default_str()
        ->type_name("WHAT");
    command->add_option("--from", options->from, "Only what was then or later: 2026-11-23 or 2026-11-23T17:44:58Z")
        ->type_name("TIME");
    command->add_option("--to", options->to, "Only what was before; of a day, until its end")->type_name("TIME");
    command->add_flag("--csv", options->csv, "Print comma-separated values, without a total");
    on_run(*command, context, [&context, options] { usage(context, *options); });
}

} // namespace kiln::cli
