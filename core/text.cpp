// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

namespace kiln
{
namespace
{

// Length of the UTF-8 sequence at the start of `text`, 0 when it is not valid or a C1 control.
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) {
            return 0;
        }
    }
    const bool c1_control = first == 0xc2 && byte(1) < 0xa0;
    const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    const bool beyond = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
    return c1_control || overlong || beyond ? 0 : length;
}

struct Range {
    char32_t first;
    char32_t last;
};

// U+200C and U+200D are not here: some scripts and emoji need them.
constexpr std::array<Range, 9> invisible{{
    {0x00ad, 0x00ad},
    {0x061c, 0x061c},
    {0x180e, 0x180e},
    {0x200b, 0x200b},
    {0x200e, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x2064},
    {0x2066, 0x2069},
    {0xfeff, 0xfeff},
}};

// The character at the start of `text`, whose valid UTF-8 sequence has `length` bytes.
char32_t character_at(std::string_view text, std::size_t length)
{
    constexpr std::array<unsigned, 5> first_bits{0, 0x7f, 0x1f, 0x0f, 0x07};
    char32_t character = static_cast<unsigned char>(text.front()) & first_bits.at(length);
    for (const char c : text.substr(1, length - 1)) {
        character = (character << 6U) | (static_cast<unsigned char>(c) & 0x3fU);
    }
    return character;
}

bool is_invisible(char32_t character)
{
    return character >= invisible.front().first && std::ranges::any_of(invisible, [&](const Range& range) {
               return character >= range.first && character <= range.last;
           });
}

// Exact below `limit`, else at least that.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit)
{
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        std::size_t least = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min(std::min(row[j], row[j - 1]) + 1, replaced);
            least = std::min(least, row[j]);
        }
        if (least >= limit) {
            return least;
        }
    }
    return row[b.size()];
}

} // namespace

std::string printable(std::string_view text, bool keep_lines)
{
    std::string out;
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text.front());
        const bool line_character = first == '\n' || first == '\t';
        const bool control = first < 0x20 || first == 0x7f;
        const std::size_t length = utf8_length(text);
        if (length == 0 || (control && !(line_character && keep_lines))) {
            out += fmt::format("\\x{:02x}", first);
            text.remove_prefix(1);
        } else if (const char32_t character = character_at(text, length); is_invisible(character)) {
            out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(character));
            text.remove_prefix(length);
        } else {
            out += text.substr(0, length);
            text.remove_prefix(length);
        }
    }
    return out;
}

bool has_invisible(std::string_view text)
{
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length > 0 && is_invisible(character_at(text, length))) {
            return true;
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return false;
}

std::optional<std::string> near_miss(std::string_view word, std::span<const std::string_view> candidates)
{
    std::optional<std::string> best;
    std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
    for (const std::string_view candidate : candidates) {
        if (word.size() >= candidate.size() + best_distance || candidate.size() >= word.size() + best_distance) {
            continue; // each character more is one more edit
        }
        const std::size_t distance = edit_distance(word, candidate, best_distance);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string join(std::span<const std::string> parts, std::string_view separator)
{
    return fmt::format("{}", fmt::join(parts.begin(), parts.end(), separator));
}

std::string option_value(const std::filesystem::path& path)
{
    std::string text;
    for (const char c : path.native()) {
        text += c == ',' ? ",," : std::string(1, c);
    }
    return text;
}

std::string shell_quoted(std::string_view text)
{
    std::string quoted = "'";
    for (const char c : text) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + "'";
}

std::string_view next_line(std::string_view& text)
{
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string tail_lines(std::string_view text, std::size_t lines)
{
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    std::size_t start = text.size();
    while (lines > 0 && start != 0) {
        const std::size_t newline = text.rfind('\n', start - 1);
        start = newline == text.npos ? 0 : newline;
        --lines;
    }
    return std::string(start == 0 ? text : text.substr(start + 1));
}

std::string tail_in_one_line(std::string_view text, std::size_t lines)
{
    const std::string tail = tail_lines(text, lines);
    std::string words;
    for (std::string_view rest = tail; !rest.empty();) {
        const std::string_view line = next_line(rest);
        words += fmt::format("{}{}", words.empty() || line.empty() ? "" : "; ", printable(line, false));
    }
    return words;
}

std::string table(const std::vector<std::vector<std::string>>& rows)
{
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        out += line + "\n";
    }
    return out;
}

} // namespace kiln
