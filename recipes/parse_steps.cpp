// SPDX-License-Identifier: Apache-2.0
// The [[step]] tables.
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace kiln::recipes
{
namespace
{

std::string parse_content(TableReader& table, SourceFiles& sources)
{
    const bool has_content = table.has("content");
    const bool has_source = table.has("source");
    const auto content = table.find("content", rules::content);
    const auto source = table.find("source", rules::source_path);
    if (has_content == has_source) {
        table.fail({has_content ? "has both content and source" : "has neither content nor source",
                    "exactly one of them says what is in the file"});
        return {};
    }
    if (source) {
        auto read = sources.read(*source);
        if (auto* problem = std::get_if<Problem>(&read)) {
            table.fail("source", std::move(*problem));
            return {};
        }
        return std::get<std::string>(std::move(read));
    }
    return content.value_or("");
}

FileStep parse_file(TableReader& table, SourceFiles& sources)
{
    FileStep step;
    step.path = table.require("file", rules::guest_path).value_or("");
    step.content = parse_content(table, sources);
    step.mode = table.find("mode", rules::file_mode).value_or(step.mode);
    step.owner = table.find("owner", rules::account).value_or(step.owner);
    step.group = table.find("group", rules::account).value_or(step.group);
    return step;
}

RunStep parse_run(TableReader& table)
{
    RunStep step;
    step.script = table.require("run", rules::script).value_or("");
    step.network = table.find_flag("network", step.network);
    step.timeout = table.find("timeout", rules::duration).value_or(step.timeout);
    return step;
}

UserStep parse_user(TableReader& table)
{
    UserStep step;
    step.name = table.require("user", rules::new_user).value_or("");
    step.groups = table.find_list("groups", rules::account);
    step.shell = table.find("shell", rules::shell).value_or(step.shell);
    step.sudo = table.find_flag("sudo", step.sudo);
    step.ssh_authorized_keys = table.find_list("ssh_authorized_keys", rules::authorized_key);
    return step;
}

ServiceStep parse_service(TableReader& table)
{
    ServiceStep step;
    step.name = table.require("service", rules::unit).value_or("");
    step.state = table.find_flag("enabled", true) ? ServiceStep::State::enabled : ServiceStep::State::disabled;
    return step;
}

} // namespace

std::vector<Step> parse_steps(TableReader& root, SourceFiles& sources)
{
    constexpr std::array<std::string_view, 4> kinds{"file", "run", "user", "service"};
    std::vector<Step> steps;
    std::set<std::string> users;
    for (TableReader& table : root.find_tables("step")) {
        const auto kind = find_kind(table, "step", kinds);
        if (!kind) {
            continue;
        }
        Step step{.action = {}, .position = table.position(), .file = {}};
        if (*kind == "file") {
            step.action = parse_file(table, sources);
        } else if (*kind == "run") {
            step.action = parse_run(table);
        } else if (*kind == "user") {
            UserStep user = parse_user(table);
            if (!user.name.empty() && !users.insert(user.name).second) {
                table.fail("user", {in_quotes(user.name) + " is made by an earlier step", "put all of it in one step"});
            }
            step.action = std::move(user);
        } else {
            step.action = parse_service(table);
        }
        table.finish();
        steps.push_back(std::move(step));
    }
    return steps;
}

} // namespace kiln::recipes
