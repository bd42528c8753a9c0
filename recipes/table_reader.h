// SPDX-License-Identifier: Apache-2.0
// Reads one table of a recipe: remembers which keys the language knows, and records what is wrong as
// diagnostics instead of throwing, so that one pass finds everything.
#pragma once

#include "recipes/field_rules.h"
#include "recipes/recipe.h"
#include "recipes/toml_document.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kiln::recipes
{

// The table and the diagnostics must outlive the reader.
class TableReader
{
public:
    // `path` is empty for the root, else like "storage[0]".
    TableReader(const Value& table, std::string path, std::vector<Diagnostic>& diagnostics);

    // Whether the key is there; the language knows it from now on.
    [[nodiscard]] bool has(std::string_view key);
    // The same, of a key that may still turn out to be unknown here.
    [[nodiscard]] bool contains(std::string_view key) const { return look_up(key) != nullptr; }

    // Whether there is a table `key` that has `child`.
    [[nodiscard]] bool has_child(std::string_view key, std::string_view child) const;
    // Whether the key is there and is an empty list or table.
    [[nodiscard]] bool is_empty(std::string_view key) const;

    // A string that obeys the rule; nullopt after a diagnostic.
    template <class T> std::optional<T> require(std::string_view key, const Rule<T>& rule)
    {
        return check(require_text(key, rule.example, rule.lines), rule);
    }
    // The same, where the key may be missing.
    template <class T> std::optional<T> find(std::string_view key, const Rule<T>& rule)
    {
        return check(find_text(key, rule.example, rule.lines), rule);
    }
    // A list of strings that obey the rule, without repeats; empty when the key is missing.
    [[nodiscard]] std::vector<std::string> find_list(std::string_view key, const Rule<std::string>& rule);
    // The same for a list that may not be empty or missing.
    [[nodiscard]] std::vector<std::string> require_list(std::string_view key, const Rule<std::string>& rule);
    [[nodiscard]] bool find_flag(std::string_view key, bool fallback);
    [[nodiscard]] std::int64_t find_integer(std::string_view key, std::int64_t fallback, std::int64_t least,
                                            std::int64_t most);
    // An integer or a list of them, without repeats; `fallback` when the key is missing.
    [[nodiscard]] std::vector<int> find_integers(std::string_view key, std::vector<int> fallback, int least, int most);
    // nullopt when the key is missing, or after a diagnostic.
    [[nodiscard]] std::optional<std::int64_t> find_integer(std::string_view key, std::string_view example,
                                                           std::int64_t least, std::int64_t most);
    // A table whose keys and values are strings that obey the rules; values may be integers, too.
    [[nodiscard]] std::map<std::string, std::string> find_texts(std::string_view key, const Rule<std::string>& key_rule,
                                                                const Rule<std::string>& value_rule);
    // The [key] table; nullopt when the key is missing, or after a diagnostic.
    [[nodiscard]] std::optional<TableReader> find_table(std::string_view key);
    // The same, with a diagnostic when there is none.
    [[nodiscard]] std::optional<TableReader> require_table(std::string_view key);
    // The [[key]] tables, none when the key is missing.
    [[nodiscard]] std::vector<TableReader> find_tables(std::string_view key);
    // The same, with a diagnostic when there is none.
    [[nodiscard]] std::vector<TableReader> require_tables(std::string_view key);

    // Records what is wrong with the key's value, or with the whole table.
    void fail(std::string_view key, Problem problem);
    void fail(Problem problem);

    // How many diagnostics there are of the whole recipe, to see whether there were more since.
    [[nodiscard]] std::size_t failures() const noexcept { return diagnostics_->size(); }

    // Records every key that nothing asked for. Call it last.
    void finish();
    // A key that was perhaps meant to be one of `candidates`, and which one.
    [[nodiscard]] std::optional<std::pair<std::string, std::string>>
    find_misspelt(std::span<const std::string_view> candidates) const;

    [[nodiscard]] Position position() const noexcept { return table_->position; }

private:
    void know(std::string_view key);
    [[nodiscard]] const Value* look_up(std::string_view key) const;
    const Value* find_value(std::string_view key, Value::Kind kind, std::string_view example);
    const Value* find_text(std::string_view key, std::string_view example, bool lines);
    const Value* require_text(std::string_view key, std::string_view example, bool lines);
    bool is_clean(const Value& text, const std::string& path, bool lines);
    [[nodiscard]] std::string path_of(std::string_view key) const;
    // What stands between the brackets of the key's table: "storage.partition".
    [[nodiscard]] std::string header_of(std::string_view key) const;
    std::optional<int> check_integer(const Value& item, const std::string& path, int least, int most);
    std::optional<std::string> check_text_of(const Value& item, const std::string& path, const Rule<std::string>& rule);
    void record(Position position, std::string path, Problem problem, std::string_view example = {});

    template <class T> std::optional<T> check(const Value* text, const Rule<T>& rule)
    {
        if (text == nullptr) {
            return std::nullopt;
        }
        auto checked = rule.check(text->text);
        if (auto* problem = std::get_if<Problem>(&checked)) {
            record(text->position, path_of(text->key), std::move(*problem), rule.example);
            return std::nullopt;
        }
        return std::get<T>(std::move(checked));
    }

    const Value* table_;
    std::string path_;
    std::vector<Diagnostic>* diagnostics_;
    std::vector<std::string_view> known_;
};

} // namespace kiln::recipes
