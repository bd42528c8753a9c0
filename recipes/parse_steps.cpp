// SPDX-License-Identifier: Apache-2.0
// The [[step]] tables.
#include "recipes/components.h"
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"
#include "recipes/substitution.h"

#include <fmt/format.h>

#include <array>
#include <span>

namespace kiln::recipes
{
namespace
{

// With its references resolved, where the step is a template.
std::string read_source(TableReader& table, const std::string& source, Scope& scope)
{
    auto content = scope.sources.read(source);
    if (table.find_flag("template", false) && std::holds_alternative<std::string>(content)) {
        content = scope.substitution.in_text(std::get<std::string>(content));
    }
    if (auto* problem = std::get_if<Problem>(&content)) {
        table.fail("source", std::move(*problem));
        return {};
    }
    return std::get<std::string>(std::move(content));
}

std::string parse_content(TableReader& table, Scope& scope)
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
        return read_source(table, *source, scope);
    }
    if (table.has("template")) {
        table.fail("template", {"is for a `source`", "references in `content` are resolved anyway"});
    }
    return content.value_or("");
}

FileStep parse_file(TableReader& table, Scope& scope)
{
    FileStep step;
    step.path = table.require("file", rules::guest_path).value_or("");
    step.content = parse_content(table, scope);
    step.mode = table.find("mode", rules::file_mode).value_or(step.mode);
    step.owner = table.find("owner", rules::account).value_or(step.owner);
    step.group = table.find("group", rules::account).value_or(step.group);
    return step;
}

RunStep parse_run(TableReader& table)
{
    RunStep step;
    step.secrets = table.find_list("secrets", rules::identifier);
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

std::vector<Step> parse_steps(TableReader& root, std::string_view key, Scope& scope)
{
    constexpr std::array<std::string_view, 5> all_kinds{"file", "run", "user", "service", "component"};
    constexpr std::array<std::string_view, 1> run_only{"run"};
    const std::span<const std::string_view> kinds =
        key == "validate" ? std::span<const std::string_view>(run_only) : all_kinds;
    std::vector<Step> steps;
    for (TableReader& table : root.find_tables(key)) {
        const auto kind = find_kind(table, key, kinds);
        if (!kind) {
            continue;
        }
        if (*kind == "component") {
            scope.components.insert(table, scope, steps);
            table.finish();
            continue;
        }
        Step step{.action = {}, .position = table.position(), .file = scope.file};
        if (*kind == "file") {
            step.action = parse_file(table, scope);
        } else if (*kind == "run") {
            step.action = parse_run(table);
        } else if (*kind == "user") {
            UserStep user = parse_user(table);
            if (!user.name.empty() && !scope.users.insert(user.name).second) {
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
