// SPDX-License-Identifier: Apache-2.0
// Finds dotted keys that are too deep for toml++, before it sees them. It follows TOML 1.0 just far
// enough to tell keys from strings and comments; on text that is not TOML it may stop anywhere,
// as toml++ stops there too.
#include "recipes/toml_document.h"

#include <algorithm>

namespace kiln::recipes
{
namespace
{

// The place after the string that starts at `start`, which is a quote.
std::size_t skip_string(std::string_view text, std::size_t start)
{
    const char quote = text[start];
    const std::string triple(3, quote);
    const bool multi_line = text.substr(start, 3) == triple;
    std::size_t at = start + (multi_line ? 3 : 1);
    while (at < text.size()) {
        if (quote == '"' && text[at] == '\\') {
            at += 2;
        } else if (multi_line && text.substr(at, 3) == triple) {
            at += 3;
            // A multi-line string may end in two quotes of its own.
            for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more) {
                ++at;
            }
            return at;
        } else if (!multi_line && (text[at] == quote || text[at] == '\n')) {
            return at + 1;
        } else {
            ++at;
        }
    }
    return text.size();
}

Position position_at(std::string_view text, std::size_t at)
{
    const std::string_view before = text.substr(0, at);
    const std::size_t newline = before.rfind('\n');
    const std::size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
    return {static_cast<std::uint32_t>(std::ranges::count(before, '\n') + 1),
            static_cast<std::uint32_t>(at - line_start + 1)};
}

} // namespace

std::optional<Position> find_too_many_key_parts(std::string_view text)
{
    std::size_t dots = 0;
    std::size_t at = 0;
    while (at < text.size()) {
        switch (text[at]) {
        case '"':
        case '\'':
            at = skip_string(text, at);
            continue;
        case '#':
            at = std::min(text.find('\n', at), text.size());
            continue;
        case '.':
            if (++dots >= most_key_parts) {
                return position_at(text, at);
            }
            break;
        case '\n':
        case '=':
        case ',':
        case '{':
        case '}':
        case '[':
        case ']':
            dots = 0;
            break;
        default:
            break;
        }
        ++at;
    }
    return std::nullopt;
}

} // namespace kiln::recipes
