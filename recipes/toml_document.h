// SPDX-License-Identifier: Apache-2.0
// A TOML document as plain values with positions, so that toml++ stays behind toml_document.cpp.
#pragma once

#include "recipes/recipe.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln::recipes
{

struct Value {
    enum class Kind { string, integer, floating, boolean, date_time, array, table };
    Kind kind = Kind::table;
    Position position;             // of the value; of the header for a [table]
    std::string key{};             // its name in the table that it stands in
    Position key_position;         // of that name
    std::string text{};            // of a string, or of a reference to a parameter of another type
    std::int64_t number = 0;       // of an integer
    bool truth = false;            // of a boolean
    std::vector<Value> children{}; // of an array, or of a table in no particular order
};

// "a string", "an integer", ...
[[nodiscard]] std::string_view describe(Value::Kind kind) noexcept;

// The root table, or the one syntax error. Time and stack are bounded for hostile text; children
// nested deeper than any recipe has them are left out, as their ancestors are errors anyway.
[[nodiscard]] std::variant<Value, Diagnostic> parse_toml(std::string_view text);

// The most parts that a dotted key may have.
inline constexpr std::size_t most_key_parts = 16;

// Where a dotted key has more parts than that. toml++ caps the depth of arrays and inline tables, not of
// dotted keys, and a key with some 100,000 parts overflows its stack.
[[nodiscard]] std::optional<Position> find_too_many_key_parts(std::string_view text);

} // namespace kiln::recipes
