// SPDX-License-Identifier: Apache-2.0
// JSON as Kiln stores and reads it. Canonical: keys sorted, no white space, UTF-8, integers only
// where a digest depends on it, one newline at the end of nothing.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace kiln
{

using Json = nlohmann::json;

// The bytes whose digest names the value. Throws Error{internal} for floats and invalid UTF-8.
[[nodiscard]] std::string canonical_json(const Json& value);

// Parses hostile text: at most 64 levels deep and no duplicate keys. `what` names the document in
// the message. Throws Error{io}.
[[nodiscard]] Json parse_json(std::string_view text, std::string_view what);

// Typed access for documents read from outside; each throws Error{io} that names `what` and the key.
[[nodiscard]] const Json& member(const Json& object, std::string_view key, std::string_view what);
[[nodiscard]] std::string string_member(const Json& object, std::string_view key, std::string_view what);
[[nodiscard]] std::int64_t integer_member(const Json& object, std::string_view key, std::string_view what);
[[nodiscard]] bool bool_member(const Json& object, std::string_view key, std::string_view what);

} // namespace kiln
