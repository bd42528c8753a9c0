// SPDX-License-Identifier: Apache-2.0
#include "recipes/table_reader.h"

#include "core/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_key = 64;         // that is worth a near-miss search
constexpr std::size_t most_unknown_keys = 1000; // that are told one by one

std::string write_like(std::string_view example)
{
    return example.empty() ? std::string() : fmt::format("write it like {}", example);
}

// A reference to an integer parameter has kept its text, for the places that want a string.
bool is_text(const Value& value)
{
    return value.kind == Value::Kind::string || !value.text.empty();
}

} // namespace

TableReader::TableReader(const Value& table, std::string path, std::vector<Diagnostic>& diagnostics)
    : table_(&table), path_(std::move(path)), diagnostics_(&diagnostics)
{
}

std::string TableReader::path_of(std::string_view key) const
{
    const std::string name = shortened(key, longest_key);
    return path_.empty() ? name : path_ + "." + name;
}

std::string TableReader::header_of(std::string_view key) const
{
    std::string header;
    bool in_index = false;
    for (const char c : path_of(key)) {
        in_index = c == '[' || (in_index && c != ']');
        if (!in_index && c != ']') {
            header += c;
        }
    }
    return header;
}

void TableReader::record(Position position, std::string path, Problem problem, std::string_view example)
{
    std::string hint = problem.hint.empty() ? write_like(example) : std::move(problem.hint);
    diagnostics_->push_back({position, std::move(path), std::move(problem.message), std::move(hint), problem.secret});
}

void TableReader::fail(std::string_view key, Problem problem)
{
    const Value* value = look_up(key);
    record(value != nullptr ? value->position : table_->position, path_of(key), std::move(problem));
}

void TableReader::fail(Problem problem)
{
    record(table_->position, path_, std::move(problem));
}

const Value* TableReader::look_up(std::string_view key) const
{
    const auto found = std::ranges::find(table_->children, key, &Value::key);
    return found == table_->children.end() ? nullptr : &*found;
}

void TableReader::know(std::string_view key)
{
    if (std::ranges::find(known_, key) == known_.end()) {
        known_.push_back(key);
    }
}

bool TableReader::has(std::string_view key)
{
    know(key);
    return look_up(key) != nullptr;
}

bool TableReader::has_child(std::string_view key, std::string_view child) const
{
    const Value* value = look_up(key);
    return value != nullptr && std::ranges::find(value->children, child, &Value::key) != value->children.end();
}

bool TableReader::is_empty(std::string_view key) const
{
    const Value* value = look_up(key);
    return value != nullptr && value->children.empty() &&
           (value->kind == Value::Kind::array || value->kind == Value::Kind::table);
}

const Value* TableReader::find_value(std::string_view key, Value::Kind kind, std::string_view example)
{
    know(key);
    const Value* value = look_up(key);
    if (value == nullptr || value->kind == kind || (kind == Value::Kind::string && is_text(*value))) {
        return value;
    }
    record(value->position, path_of(key), {fmt::format("must be {}, not {}", describe(kind), describe(value->kind))},
           example);
    return nullptr;
}

bool TableReader::is_clean(const Value& text, const std::string& path, bool lines)
{
    const auto hidden = find_hidden_character(text.text, lines);
    if (hidden) {
        record(text.position, path,
               {fmt::format("{} holds {}", in_quotes(text.text), *hidden),
                lines ? "only newlines and tabs may be in it" : "remove it; not even a newline or a tab may be in it"});
    }
    return !hidden;
}

const Value* TableReader::find_text(std::string_view key, std::string_view example, bool lines)
{
    const Value* value = find_value(key, Value::Kind::string, example);
    return value != nullptr && is_clean(*value, path_of(key), lines) ? value : nullptr;
}

const Value* TableReader::require_text(std::string_view key, std::string_view example, bool lines)
{
    if (!has(key)) {
        record(table_->position, path_of(key), {"is missing", fmt::format("add {} = {}", key, example)});
        return nullptr;
    }
    return find_text(key, example, lines);
}

std::optional<std::string> TableReader::check_text_of(const Value& item, const std::string& path,
                                                      const Rule<std::string>& rule)
{
    if (!is_text(item)) {
        record(item.position, path, {fmt::format("must be a string, not {}", describe(item.kind))}, rule.example);
        return std::nullopt;
    }
    if (!is_clean(item, path, rule.lines)) {
        return std::nullopt;
    }
    Checked<std::string> checked = rule.check(item.text);
    if (auto* problem = std::get_if<Problem>(&checked)) {
        record(item.position, path, std::move(*problem), rule.example);
        return std::nullopt;
    }
    return std::get<std::string>(std::move(checked));
}

std::vector<std::string> TableReader::find_list(std::string_view key, const Rule<std::string>& rule)
{
    std::vector<std::string> list;
    const Value* array = find_value(key, Value::Kind::array, fmt::format("[{}]", rule.example));
    if (array == nullptr) {
        return list;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < array->children.size(); ++i) {
        const Value& item = array->children[i];
        const std::string path = fmt::format("{}[{}]", path_of(key), i);
        auto checked = check_text_of(item, path, rule);
        if (checked && !seen.insert(item.text).second) {
            record(item.position, path, {in_quotes(item.text) + " is in the list already", "remove one of the two"});
        } else if (checked) {
            list.push_back(std::move(*checked));
        }
    }
    return list;
}

std::vector<std::string> TableReader::require_list(std::string_view key, const Rule<std::string>& rule)
{
    if (!has(key)) {
        fail(key, {"is missing", fmt::format("add {} = [{}]", key, rule.example)});
        return {};
    }
    if (is_empty(key)) {
        fail(key, {"is empty", fmt::format("name at least one, like [{}]", rule.example)});
    }
    return find_list(key, rule);
}

bool TableReader::find_flag(std::string_view key, bool fallback)
{
    const Value* value = find_value(key, Value::Kind::boolean, "true");
    return value == nullptr ? fallback : value->truth;
}

std::int64_t TableReader::find_integer(std::string_view key, std::int64_t fallback, std::int64_t least,
                                       std::int64_t most)
{
    return find_integer(key, std::to_string(fallback), least, most).value_or(fallback);
}

std::optional<std::int64_t> TableReader::find_integer(std::string_view key, std::string_view example,
                                                      std::int64_t least, std::int64_t most)
{
    const Value* value = find_value(key, Value::Kind::integer, example);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (value->number < least || value->number > most) {
        fail(key, {fmt::format("{} is out of range", value->number), fmt::format("{} to {}", least, most)});
        return std::nullopt;
    }
    return value->number;
}

std::optional<int> TableReader::check_integer(const Value& item, const std::string& path, int least, int most)
{
    if (item.kind != Value::Kind::integer) {
        record(item.position, path, {fmt::format("must be an integer, not {}", describe(item.kind))},
               std::to_string(least));
        return std::nullopt;
    }
    if (item.number < least || item.number > most) {
        record(item.position, path,
               {fmt::format("{} is out of range", item.number), fmt::format("{} to {}", least, most)});
        return std::nullopt;
    }
    return static_cast<int>(item.number);
}

std::vector<int> TableReader::find_integers(std::string_view key, std::vector<int> fallback, int least, int most)
{
    if (!has(key)) {
        return fallback;
    }
    const Value* value = look_up(key);
    if (value->kind != Value::Kind::array) {
        const auto number = check_integer(*value, path_of(key), least, most);
        return number ? std::vector<int>{*number} : fallback;
    }
    std::vector<int> list;
    for (std::size_t i = 0; i < value->children.size(); ++i) {
        const std::string path = fmt::format("{}[{}]", path_of(key), i);
        const auto number = check_integer(value->children[i], path, least, most);
        if (number && std::ranges::find(list, *number) != list.end()) {
            record(value->children[i].position, path,
                   {fmt::format("{} is in the list already", *number), "remove one of the two"});
        } else if (number) {
            list.push_back(*number);
        }
    }
    if (value->children.empty()) {
        fail(key, {"is empty", fmt::format("name at least one, like [{}]", least)});
    }
    return list;
}

std::map<std::string, std::string> TableReader::find_texts(std::string_view key, const Rule<std::string>& key_rule,
                                                           const Rule<std::string>& value_rule)
{
    std::map<std::string, std::string> texts;
    const std::string example = fmt::format("{{ {} = {} }}", key_rule.example, value_rule.example);
    const Value* table = find_value(key, Value::Kind::table, example);
    if (table == nullptr) {
        return texts;
    }
    for (const Value& item : table->children) {
        const std::string path = path_of(key) + "." + shortened(item.key, longest_key);
        if (const auto hidden = find_hidden_character(item.key, false)) {
            record(item.key_position, path, {fmt::format("{} holds {}", in_quotes(item.key), *hidden), "remove it"});
            continue;
        }
        if (item.kind == Value::Kind::table) {
            record(item.key_position, path,
                   {"must be a string, not a table", "a key with dots in it stands in quotes: \"a.b\" = ..."});
            continue;
        }
        Checked<std::string> name = key_rule.check(item.key);
        if (auto* problem = std::get_if<Problem>(&name)) {
            record(item.key_position, path, std::move(*problem), key_rule.example);
        } else if (item.kind == Value::Kind::integer) {
            texts.emplace(item.key, std::to_string(item.number));
        } else if (auto value = check_text_of(item, path, value_rule)) {
            texts.emplace(item.key, std::move(*value));
        }
    }
    return texts;
}

std::optional<TableReader> TableReader::find_table(std::string_view key)
{
    if (!has(key)) {
        return std::nullopt;
    }
    const Value* value = look_up(key);
    if (value->kind != Value::Kind::table) {
        record(
            value->position, path_of(key),
            {fmt::format("must be a table, not {}", describe(value->kind)), fmt::format("write [{}]", header_of(key))});
        return std::nullopt;
    }
    return TableReader(*value, path_of(key), *diagnostics_);
}

std::optional<TableReader> TableReader::require_table(std::string_view key)
{
    if (!has(key)) {
        record(table_->position, path_of(key), {"is missing", fmt::format("add a [{}] table", header_of(key))});
        return std::nullopt;
    }
    return find_table(key);
}

std::vector<TableReader> TableReader::find_tables(std::string_view key)
{
    std::vector<TableReader> tables;
    if (!has(key)) {
        return tables;
    }
    const Value* array = look_up(key);
    const std::string hint = fmt::format("write [[{}]] for each one", header_of(key));
    if (array->kind != Value::Kind::array) {
        fail(key, {fmt::format("must be a list of tables, not {}", describe(array->kind)), hint});
        return tables;
    }
    for (std::size_t i = 0; i < array->children.size(); ++i) {
        const Value& item = array->children[i];
        const std::string path = fmt::format("{}[{}]", path_of(key), i);
        if (item.kind == Value::Kind::table) {
            tables.emplace_back(item, path, *diagnostics_);
        } else {
            record(item.position, path, {fmt::format("must be a table, not {}", describe(item.kind)), hint});
        }
    }
    return tables;
}

std::vector<TableReader> TableReader::require_tables(std::string_view key)
{
    const Value* array = has(key) ? look_up(key) : nullptr;
    if (array == nullptr || (array->kind == Value::Kind::array && array->children.empty())) {
        fail(key, {"is missing", fmt::format("add a [[{}]] table", header_of(key))});
        return {};
    }
    return find_tables(key);
}

std::vector<std::pair<std::string, TableReader>> TableReader::find_named_tables(std::string_view key)
{
    std::vector<std::pair<std::string, TableReader>> tables;
    const Value* all = find_value(key, Value::Kind::table, fmt::format("a [{}.NAME] table", key));
    if (all == nullptr) {
        return tables;
    }
    for (const Value& child : all->children) {
        std::string path = fmt::format("{}.{}", path_of(key), shortened(child.key, longest_key));
        if (child.kind == Value::Kind::table) {
            tables.emplace_back(child.key, TableReader(child, std::move(path), *diagnostics_));
        } else {
            record(child.position, std::move(path),
                   {fmt::format("must be a table, not {}", describe(child.kind)),
                    fmt::format("write a [{}.NAME] table for each one", key)});
        }
    }
    return tables;
}

const Value* TableReader::find_any(std::string_view key)
{
    know(key);
    return look_up(key);
}

bool TableReader::has_below(std::string_view key, std::string_view name) const
{
    const Value* table = look_up(key);
    return table != nullptr && std::ranges::find(table->children, name, &Value::key) != table->children.end();
}

void TableReader::fail_below(std::string_view key, std::string_view name, Problem problem)
{
    const Value* table = look_up(key);
    Position position = table != nullptr ? table->position : table_->position;
    if (table != nullptr) {
        const auto found = std::ranges::find(table->children, name, &Value::key);
        position = found != table->children.end() ? found->position : position;
    }
    record(position, fmt::format("{}.{}", path_of(key), shortened(name, longest_key)), std::move(problem));
}

std::optional<std::pair<std::string, std::string>>
TableReader::find_misspelt(std::span<const std::string_view> candidates) const
{
    for (const Value& child : table_->children) {
        if (child.key.size() <= longest_key) {
            if (auto near = near_miss(child.key, candidates)) {
                return std::pair(child.key, std::move(*near));
            }
        }
    }
    return std::nullopt;
}

void TableReader::finish()
{
    std::size_t unknown = 0;
    for (const Value& child : table_->children) {
        if (std::ranges::find(known_, child.key) != known_.end()) {
            continue;
        }
        if (++unknown > most_unknown_keys) {
            fail({fmt::format("more than {} keys are unknown", most_unknown_keys),
                  fmt::format("known here: {}", fmt::join(known_, ", "))});
            return;
        }
        const auto near = child.key.size() <= longest_key ? near_miss(child.key, known_) : std::nullopt;
        record(child.key_position, path_of(child.key),
               {"unknown key", near ? fmt::format("did you mean \"{}\"?", *near)
                                    : fmt::format("known here: {}", fmt::join(known_, ", "))});
    }
}

} // namespace kiln::recipes
