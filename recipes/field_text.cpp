// SPDX-License-Identifier: Apache-2.0
// Text from a recipe on its way into a message, and the characters that must not hide in it.
#include "recipes/field_rules.h"

#include "core/text.h"

#include <algorithm>
#include <array>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t quoted_width = 60;

struct Range {
    char32_t first;
    char32_t last;
};

// What has no width, breaks lines, or reorders the text around it. U+200C and U+200D are not here: some
// scripts and emoji need them.
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

bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Every run of white space becomes one space, none at the ends.
std::string in_one_line(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (!is_blank(c)) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (out.ends_with(' ')) {
        out.pop_back();
    }
    return out;
}

bool continues_character(char c)
{
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}

// Whether the valid UTF-8 in `text` has one of them.
bool has_invisible(std::string_view text)
{
    char32_t character = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (continues_character(text[i])) {
            character = (character << 6U) | (byte & 0x3fU);
        } else {
            character = byte < 0x80 ? byte : byte & (byte < 0xe0 ? 0x1fU : byte < 0xf0 ? 0x0fU : 0x07U);
        }
        const bool whole = i + 1 == text.size() || !continues_character(text[i + 1]);
        if (whole && std::ranges::any_of(invisible, [&](const Range& range) {
                return character >= range.first && character <= range.last;
            })) {
            return true;
        }
    }
    return false;
}

} // namespace

std::string shortened(std::string_view text, std::size_t most)
{
    constexpr std::string_view mark = "...";
    std::string line = printable(in_one_line(text), false);
    if (line.size() <= most) {
        return line;
    }
    std::size_t end = most - mark.size();
    while (end > 0 && continues_character(line[end])) {
        --end;
    }
    line.resize(end);
    return line.append(mark);
}

std::string in_quotes(std::string_view text)
{
    return '"' + shortened(text, quoted_width) + '"';
}

std::optional<std::string_view> find_hidden_character(std::string_view text, bool lines)
{
    if (printable(text, lines) != text) {
        return "a control character";
    }
    if (has_invisible(text)) {
        return "an invisible character";
    }
    return std::nullopt;
}

} // namespace kiln::recipes
