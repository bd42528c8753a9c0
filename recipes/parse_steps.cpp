// SPDX-License-Identifier: Apache-2.0
// The [[step]] tables: which kind each is. step_parsers.h has the kinds.
#include "recipes/components.h"
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"
#include "recipes/step_parsers.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>

namespace kiln::recipes
{
namespace
{

constexpr std::array<std::string_view, 16> kinds{"file",       "tree",           "archive",
                                                 "run",        "script",         "packages",
                                                 "apt_source", "user",           "service",
                                                 "hostname",   "timezone",       "locale",
                                                 "sysctl",     "kernel_modules", "certificate_authority",
                                                 "component"};
constexpr std::array<std::string_view, 2> validation_kinds{"run", "script"};
// `group` is who owns a file, too, and a `packages` step may do nothing but remove or hold.
constexpr std::array<std::string_view, 3> shared_kinds{"group", "remove", "hold"};

using Action = decltype(Step::action);

// nullopt after a diagnostic, for some kinds; others return what they could read.
std::optional<Action> parse_action(TableReader& table, std::string_view kind, Scope& scope)
{
    if (kind == "file") {
        return parse_file(table, scope);
    }
    using Parser = std::optional<Action> (*)(TableReader&, SourceFiles&);
    static const std::map<std::string_view, Parser> parsers{
        {"tree", [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_tree(t, s); }},
        {"archive", [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_archive(t, s); }},
        {"run", [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_run(t, s); }},
        {"script", [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_run(t, s); }},
        {"packages", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_packages(t); }},
        {"remove", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_packages(t); }},
        {"hold", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_packages(t); }},
        {"apt_source", [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_apt_source(t, s); }},
        {"user", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_user(t); }},
        {"group", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_group(t); }},
        {"service", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_service(t); }},
        {"hostname", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_hostname(t); }},
        {"timezone", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_timezone(t); }},
        {"locale", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_locale(t); }},
        {"sysctl", [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_sysctl(t); }},
        {"kernel_modules",
         [](TableReader& t, SourceFiles&) -> std::optional<Action> { return parse_kernel_modules(t); }},
        {"certificate_authority",
         [](TableReader& t, SourceFiles& s) -> std::optional<Action> { return parse_certificate_authority(t, s); }},
    };
    return parsers.at(kind)(table, scope.sources);
}

// What may be made only once.
std::string name_of_made(const Action& action)
{
    if (const auto* user = std::get_if<UserStep>(&action)) {
        return user->name;
    }
    if (const auto* group = std::get_if<GroupStep>(&action)) {
        return group->name;
    }
    if (const auto* source = std::get_if<AptSourceStep>(&action)) {
        return source->name;
    }
    const auto* authority = std::get_if<CertificateAuthorityStep>(&action);
    return authority != nullptr ? authority->name : "";
}

} // namespace

std::vector<Step> parse_steps(TableReader& root, std::string_view key, Scope& scope)
{
    std::vector<Step> steps;
    std::vector<TableReader> tables = root.find_tables(key);
    if (tables.size() > most_steps) {
        root.fail(key, {fmt::format("there are more than {} steps", most_steps), "put several commands into one step"});
        return steps;
    }
    for (TableReader& table : tables) {
        const auto kind =
            key == "validate" ? find_kind(table, key, validation_kinds) : find_kind(table, key, kinds, shared_kinds);
        if (!kind) {
            continue;
        }
        if (*kind == "component") {
            scope.components.insert(table, scope, steps);
            table.finish();
            continue;
        }
        auto action = parse_action(table, *kind, scope);
        if (action) {
            const std::string name = name_of_made(*action);
            if (!name.empty() && !scope.made.emplace(*kind, name).second) {
                table.fail(*kind, {in_quotes(name) + " is made by an earlier step", "put all of it in one step"});
            }
            steps.push_back({.action = std::move(*action), .position = table.position(), .file = scope.file});
        }
        table.finish();
    }
    return steps;
}

} // namespace kiln::recipes
