// SPDX-License-Identifier: Apache-2.0
#include "registry/image_query.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace kiln::registry
{
namespace
{

constexpr std::string_view tag_prefix = "tag:";
constexpr std::size_t most_filters = 50;
constexpr std::size_t most_values = 200; // both as EC2 has it

// What a value is compared with. All of them are constant text: values are bound.
struct Column {
    std::string_view name;
    std::string_view sql;
    bool fact = false;
};

constexpr std::string_view state_sql =
    "CASE WHEN state = 'available' AND deprecated_at <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now') THEN 'deprecated' "
    "ELSE state END";

constexpr std::array columns{
    Column{"architecture", "architecture"},
    Column{"creation-date", "created"},
    Column{"description", "description"},
    Column{"holder-id", "holder"},
    Column{"image-id", "id"},
    Column{"is-public", "CASE launch_public WHEN 1 THEN 'true' ELSE 'false' END"},
    Column{"name", "name"},
    Column{"os", "(SELECT value FROM facts WHERE image = images.id AND key = 'os')", true},
    Column{"owner-id", "owner"},
    Column{"source", "(SELECT value FROM facts WHERE image = images.id AND key = 'source')", true},
    Column{"state", state_sql},
    Column{"tag-key", "", true}, // below
    Column{"version", "major || '.' || minor || '.' || patch"},
};

const Column* find_column(std::string_view name)
{
    const auto* found = std::ranges::find(columns, name, &Column::name);
    return found == columns.end() ? nullptr : found;
}

// As SQLite's GLOB has it, in which brackets make a set and nothing escapes.
std::string glob_of(std::string_view value)
{
    std::string glob;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const bool literal = value[i] == '\\' && i + 1 < value.size();
        const char c = literal ? value[++i] : value[i];
        if (c == '[' || (literal && (c == '*' || c == '?'))) {
            glob += fmt::format("[{}]", c);
        } else {
            glob += c;
        }
    }
    return glob;
}

std::string any_of_globs(std::string_view sql, const std::vector<std::string>& values)
{
    std::string alternatives;
    for (std::size_t i = 0; i < values.size(); ++i) {
        alternatives += fmt::format("{}{} GLOB ?", i == 0 ? "" : " OR ", sql);
    }
    return fmt::format("({})", alternatives);
}

} // namespace

std::string filter_names()
{
    std::string names;
    for (const Column& column : columns) {
        names += fmt::format("{}, ", column.name);
    }
    return names + "tag:KEY";
}

ImageFilter parse_image_filter(std::string_view text)
{
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals + 1 == text.size()) {
        throw Error(ErrorKind::usage,
                    fmt::format("--filter \"{}\" is not NAME=VALUE", printable(text.substr(0, 200), false)),
                    "for example --filter 'name=web-*' --filter architecture=x86_64,aarch64 --filter tag:team=web");
    }
    ImageFilter filter{std::string(text.substr(0, equals)), {std::string()}};
    const bool tag = filter.name.starts_with(tag_prefix) && filter.name.size() > tag_prefix.size();
    if (!tag && find_column(filter.name) == nullptr) {
        std::vector<std::string_view> names;
        std::ranges::transform(columns, std::back_inserter(names), &Column::name);
        const auto near = near_miss(filter.name, names);
        throw Error(ErrorKind::usage,
                    fmt::format("there is no filter \"{}\"", printable(filter.name.substr(0, 200), false)),
                    near ? fmt::format("did you mean {}?", *near) : fmt::format("there are: {}", filter_names()));
    }
    for (std::size_t i = equals + 1; i < text.size(); ++i) {
        if (text[i] == ',') {
            filter.values.emplace_back();
            continue;
        }
        if (text[i] == '\\' && i + 1 < text.size()) {
            filter.values.back() += text[i++];
        }
        filter.values.back() += text[i];
    }
    if (filter.values.size() > most_values) {
        throw Error(ErrorKind::usage,
                    fmt::format("the filter {} has more than {} values", filter.name.substr(0, 100), most_values));
    }
    return filter;
}

SqlCondition condition_of(const ImageQuery& query)
{
    if (query.filters.size() > most_filters) {
        throw Error(ErrorKind::usage, fmt::format("there are more than {} filters", most_filters));
    }
    SqlCondition condition{query.with_deregistered ? "(1" : "(state <> 'deregistered'", {}};
    for (const ImageFilter& filter : query.filters) {
        if (filter.name == "tag-key") {
            condition.sql +=
                fmt::format(" AND EXISTS (SELECT 1 FROM facts WHERE image = images.id AND key GLOB 'tag:*' AND {})",
                            any_of_globs("substr(key, 5)", filter.values));
        } else if (const Column* column = find_column(filter.name)) {
            condition.sql += fmt::format(" AND {}", any_of_globs(column->sql, filter.values));
        } else {
            condition.sql += fmt::format(" AND EXISTS (SELECT 1 FROM facts WHERE image = images.id AND key = ? AND {})",
                                         any_of_globs("value", filter.values));
            condition.values.push_back(filter.name);
        }
        std::ranges::transform(filter.values, std::back_inserter(condition.values), glob_of);
    }
    condition.sql += ")";
    return condition;
}

bool needs_facts(const ImageQuery& query)
{
    return std::ranges::any_of(query.filters, [](const ImageFilter& filter) {
        const Column* column = find_column(filter.name);
        return column == nullptr || column->fact;
    });
}

} // namespace kiln::registry
