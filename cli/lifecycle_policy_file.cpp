// SPDX-License-Identifier: Apache-2.0
#include "cli/lifecycle_policy_file.h"

#include "core/files.h"
#include "recipes/table_reader.h"
#include "recipes/toml_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace kiln::cli
{
namespace
{

using recipes::Checked;
using recipes::in_quotes;
using recipes::Problem;
using recipes::Rule;
using recipes::TableReader;

constexpr std::int64_t most_kept = 100'000;
constexpr long longest_age = 36'500; // days

Checked<std::string> check_action(std::string_view text)
{
    constexpr std::array actions{registry::action::deprecate, registry::action::disable, registry::action::deregister};
    if (std::ranges::find(actions, text) == actions.end()) {
        return Problem{in_quotes(text) + " is not an action", "supported: deprecate, disable, deregister"};
    }
    return std::string(text);
}

Checked<std::string> check_names(std::string_view text)
{
    const bool open = text.ends_with('*');
    // What may stand before a * is what a name begins with.
    const std::string whole = open ? std::string(text.substr(0, text.size() - 1)) + "xxx" : std::string(text);
    if (!bundle::is_image_name(whole)) {
        return Problem{in_quotes(text) + " is neither an image's name nor the beginning of one and *"};
    }
    return std::string(text);
}

// In days; a month has 30 and a year 365.
Checked<std::chrono::days> check_age(std::string_view text)
{
    constexpr std::array<std::pair<std::string_view, int>, 8> units{{{"day", 1},
                                                                     {"days", 1},
                                                                     {"week", 7},
                                                                     {"weeks", 7},
                                                                     {"month", 30},
                                                                     {"months", 30},
                                                                     {"year", 365},
                                                                     {"years", 365}}};
    long count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view rest(end, text.data() + text.size());
    const auto* unit = std::ranges::find_if(
        units, [&](const auto& one) { return !rest.empty() && rest.front() == ' ' && rest.substr(1) == one.first; });
    if (failure != std::errc() || unit == units.end() || count < 1 || count > longest_age / unit->second) {
        return Problem{in_quotes(text) + " is not an age", "a number and days, weeks, months or years: \"90 days\""};
    }
    return std::chrono::days(count * unit->second);
}

const Rule<std::string> action_rule{check_action, R"("deprecate")"};
const Rule<std::string> names_rule{check_names, R"("web" or "web-*")"};
const Rule<std::chrono::days> age_rule{check_age, R"("90 days")"};

registry::LifecycleRule parse_rule(TableReader& table)
{
    registry::LifecycleRule rule;
    rule.action = table.require("action", action_rule).value_or("");
    rule.names = table.require_list("names", names_rule);
    if (const auto keep = table.find_integer("keep", "3", 1, most_kept)) {
        rule.keep = static_cast<std::size_t>(*keep);
    }
    rule.older_than = table.find("older_than", age_rule);
    if (!table.has("keep") && !table.has("older_than")) {
        table.fail({"nothing says when an image is due",
                    "`keep = 3` leaves the 3 newest versions of a name, `older_than = \"90 days\"` younger ones"});
    }
    if (auto exclude = table.find_table("exclude")) {
        rule.exclude_public = exclude->find_flag("public", false);
        rule.exclude_shared = exclude->find_flag("shared", false);
        rule.exclude_tags = exclude->find_texts("tags", recipes::rules::tag_key, recipes::rules::tag_value);
        exclude->finish();
    }
    table.finish();
    return rule;
}

} // namespace

registry::LifecyclePolicy load_lifecycle_policy(const std::filesystem::path& file)
{
    const std::string text = read_file(file, mebibytes(1));
    const auto document = recipes::parse_toml(text);
    if (const auto* syntax_error = std::get_if<recipes::Diagnostic>(&document)) {
        throw recipes::RecipeError(file.native(), text, {*syntax_error});
    }
    std::vector<recipes::Diagnostic> diagnostics;
    TableReader root(std::get<recipes::Value>(document), "", diagnostics);
    registry::LifecyclePolicy policy;
    policy.name = root.require("name", recipes::rules::image_name).value_or("");
    policy.description = root.find("description", recipes::rules::description).value_or("");
    for (TableReader& table : root.require_tables("rule")) {
        policy.rules.push_back(parse_rule(table));
    }
    root.finish();
    if (!diagnostics.empty()) {
        throw recipes::RecipeError(file.native(), text, std::move(diagnostics));
    }
    return policy;
}

} // namespace kiln::cli
