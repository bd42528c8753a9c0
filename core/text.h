// SPDX-License-Identifier: Apache-2.0
// Text for people: hostile bytes made visible, near misses of a word, aligned tables.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln
{

// Control characters, ESC and bytes that are not UTF-8 become \xNN (newline and tab stay when
// `keep_lines`), invisible characters \uNNNN, so that guest text can't drive the user's terminal, break JSON or
// look like another text.
[[nodiscard]] std::string printable(std::string_view text, bool keep_lines = true);

// Whether there is a character that has no width, breaks lines, or reorders the text around it.
[[nodiscard]] bool has_invisible(std::string_view text);

// The candidate nearest to `word` by edit distance, if it is near enough to be a typing error.
[[nodiscard]] std::optional<std::string> near_miss(std::string_view word, std::span<const std::string_view> candidates);

[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

// A path as the value of an option of QEMU's, in whose syntax a comma is written twice.
[[nodiscard]] std::string option_value(const std::filesystem::path& path);

// `text` as one word of a POSIX shell.
[[nodiscard]] std::string shell_quoted(std::string_view text);

// Takes the next line off `text` and returns it without its end.
[[nodiscard]] std::string_view next_line(std::string_view& text);

// The last `lines` lines of `text`.
[[nodiscard]] std::string tail_lines(std::string_view text, std::size_t lines);

// The last `lines` lines of what a program said, as one printable line for a message: "first; second".
[[nodiscard]] std::string tail_in_one_line(std::string_view text, std::size_t lines);

// A table with a heading; columns are padded to their widest cell, the last one is not.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

} // namespace kiln
