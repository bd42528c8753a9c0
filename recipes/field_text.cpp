// SPDX-License-Identifier: Apache-2.0
// Text from a recipe on its way into a message, and the characters that must not hide in it.
#include "recipes/field_rules.h"

#include "core/text.h"

namespace kiln::recipes
{
namespace
{

constexpr std::size_t quoted_width = 60;

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

} // namespace

std::string shortened(std::string_view text, std::size_t most)
{
    constexpr std::string_view mark = "...";
    constexpr std::size_t longest_character = 4;
    // Printed it is no shorter: what is further on does not show.
    std::string line = printable(in_one_line(text).substr(0, most + longest_character), false);
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
    if (has_invisible(text)) {
        return "an invisible character";
    }
    if (printable(text, lines) != text) {
        return "a control character";
    }
    return std::nullopt;
}

} // namespace kiln::recipes
