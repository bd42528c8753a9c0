// SPDX-License-Identifier: Apache-2.0
// What each text field of a recipe may hold. Every rule assumes hostile text; hidden characters
// (see find_hidden_character) are refused before a rule sees its text.
#pragma once

#include "core/byte_size.h"
#include "core/semantic_version.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace kiln::recipes
{

struct Problem {
    std::string message; // continues "storage[0].size: "
    std::string hint{};  // empty: the rule's example
};

template <class T> using Checked = std::variant<T, Problem>;

template <class T> struct Rule {
    Checked<T> (*check)(std::string_view text);
    std::string_view example; // as TOML: "\"2GiB\""
    bool lines = false;       // newlines and tabs are welcome
};

// `text` in quotes, made printable and shortened to about 60 characters.
[[nodiscard]] std::string in_quotes(std::string_view text);

// `text` in one line of at most `most` bytes, cut between characters, "..." at the end when it was cut.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

// What is in `text` and shows wrongly or not at all: "a control character", "an invisible character", ...
[[nodiscard]] std::optional<std::string_view> find_hidden_character(std::string_view text, bool lines);

namespace rules
{

extern const Rule<std::string> image_name;
extern const Rule<SemanticVersion> version;
extern const Rule<std::string> description;
extern const Rule<std::string> architecture;
extern const Rule<std::string> package;

extern const Rule<std::string> distribution;
extern const Rule<std::string> suite;
extern const Rule<std::string> mirror;

extern const Rule<std::string> device;
extern const Rule<ByteSize> volume_size; // whole MiB, 512 MiB to 64 TiB
extern const Rule<std::string> filesystem;

extern const Rule<std::string> guest_path;  // absolute and normalized, not "/"
extern const Rule<std::string> shell;       // the same, with another example
extern const Rule<std::string> source_path; // relative, without ".."
extern const Rule<std::string> content;
extern const Rule<std::uint32_t> file_mode;
extern const Rule<std::string> account; // an existing user or group
extern const Rule<std::string> new_user;
extern const Rule<std::string> authorized_key;
extern const Rule<std::string> unit;
extern const Rule<std::string> script;
extern const Rule<std::chrono::seconds> duration; // 1 s to 24 h

extern const Rule<std::string> test_name;
extern const Rule<std::string> command;
extern const Rule<std::string> output; // of a test: trimmed
extern const Rule<std::string> console_pattern;

} // namespace rules
} // namespace kiln::recipes
