// SPDX-License-Identifier: Apache-2.0
// The only file that knows toml++: its tree becomes Values, its exception a Diagnostic.
#include "recipes/toml_document.h"

#include <fmt/format.h>
#include <toml++/toml.h>

namespace kiln::recipes
{
namespace
{

// A recipe has seven: root, volumes, one volume, its partitions, one partition, a list, a string.
constexpr int deepest_level = 8;

Position position_of(const toml::source_region& region)
{
    return {region.begin.line, region.begin.column};
}

Value convert(const toml::node& node, int depth)
{
    Value value;
    value.position = position_of(node.source());
    if (const auto* text = node.as_string()) {
        value.kind = Value::Kind::string;
        value.text = text->get();
    } else if (const auto* number = node.as_integer()) {
        value.kind = Value::Kind::integer;
        value.number = number->get();
    } else if (const auto* truth = node.as_boolean()) {
        value.kind = Value::Kind::boolean;
        value.truth = truth->get();
    } else if (node.is_floating_point()) {
        value.kind = Value::Kind::floating;
    } else if (const auto* array = node.as_array()) {
        value.kind = Value::Kind::array;
        if (depth < deepest_level) {
            value.children.reserve(array->size());
            for (const toml::node& item : *array) {
                value.children.push_back(convert(item, depth + 1));
            }
        }
    } else if (const auto* table = node.as_table()) {
        value.kind = Value::Kind::table;
        if (depth < deepest_level) {
            value.children.reserve(table->size());
            for (const auto& [key, item] : *table) {
                value.children.push_back(convert(item, depth + 1));
                value.children.back().key = key.str();
                value.children.back().key_position = position_of(key.source());
            }
        }
    } else {
        value.kind = Value::Kind::date_time;
    }
    return value;
}

} // namespace

std::string_view describe(Value::Kind kind) noexcept
{
    switch (kind) {
    case Value::Kind::string:
        return "a string";
    case Value::Kind::integer:
        return "an integer";
    case Value::Kind::floating:
        return "a floating point number";
    case Value::Kind::boolean:
        return "true or false";
    case Value::Kind::date_time:
        return "a date or time";
    case Value::Kind::array:
        return "a list";
    case Value::Kind::table:
        return "a table";
    }
    return "something else";
}

std::variant<Value, Diagnostic> parse_toml(std::string_view text)
{
    if (const auto position = find_too_many_key_parts(text)) {
        return Diagnostic{*position, "", fmt::format("a dotted key has more than {} parts", most_key_parts), ""};
    }
    try {
        Value root = convert(toml::parse(text), 0);
        root.position = {1, 1};
        return root;
    } catch (const toml::parse_error& error) {
        return Diagnostic{position_of(error.source()), "", fmt::format("not valid TOML: {}", error.description()), ""};
    }
}

} // namespace kiln::recipes
