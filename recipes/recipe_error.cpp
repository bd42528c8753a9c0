// SPDX-License-Identifier: Apache-2.0
// A recipe's diagnostics as text for a person, in the order of the file, with the line and a caret.
#include "recipes/recipe.h"

#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t excerpt_width = 100; // in characters
constexpr std::size_t most_shown = 100;    // of diagnostics; a hostile recipe can have 100,000

std::vector<std::string_view> split_lines(std::string_view text)
{
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) {
        text.remove_prefix(byte_order_mark.size());
    }
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        lines.push_back(line);
        text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    }
    return lines;
}

bool starts_character(char c)
{
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
}

std::size_t count_characters(std::string_view text)
{
    return static_cast<std::size_t>(std::ranges::count_if(text, starts_character));
}

// The byte where character number `count` (from 0) starts, or the end.
std::size_t offset_of(std::string_view text, std::size_t count)
{
    std::size_t at = 0;
    while (at < text.size() && (!starts_character(text[at]) || count > 0)) {
        count -= starts_character(text[at]) ? 1 : 0;
        ++at;
    }
    return at;
}

// A tab becomes a space, so that the caret stands where it belongs.
std::string visible(std::string_view text)
{
    std::string line(text);
    std::ranges::replace(line, '\t', ' ');
    return printable(line, false);
}

// The part of the line around `column` (from 1, in characters), and a caret below it.
std::string excerpt(std::uint32_t number, std::string_view line, std::uint32_t column)
{
    constexpr std::size_t before_caret = excerpt_width / 2;
    const std::size_t caret = std::min<std::size_t>(column - 1, count_characters(line));
    const std::size_t first = caret > before_caret && count_characters(line) > excerpt_width ? caret - before_caret : 0;
    const std::string_view rest = line.substr(offset_of(line, first));
    const std::string_view part = rest.substr(0, offset_of(rest, excerpt_width));

    const std::string_view cut_left = first > 0 ? "..." : "";
    const std::string_view cut_right = part.size() < rest.size() ? "..." : "";
    const std::size_t indent =
        cut_left.size() + count_characters(visible(part.substr(0, offset_of(part, caret - first))));
    const std::string shown = fmt::format("{}{}{}", cut_left, visible(part), cut_right);
    return fmt::format("\n{:>5} |{}{}\n      | {:>{}}^", number, shown.empty() ? "" : " ", shown, "", indent);
}

std::string render(std::string_view file, const std::vector<std::string_view>& lines, const Diagnostic& diagnostic)
{
    const Position position = diagnostic.position;
    std::string out = fmt::format("{}:{}:{}: ", file, position.line, position.column);
    if (!diagnostic.path.empty()) {
        out += printable(diagnostic.path, false) + ": ";
    }
    out += printable(diagnostic.message, false);
    if (!diagnostic.secret && position.line >= 1 && position.column >= 1 && position.line <= lines.size()) {
        out += excerpt(position.line, lines[position.line - 1], position.column);
    }
    if (!diagnostic.hint.empty()) {
        out += "\n      = " + printable(diagnostic.hint, false);
    }
    return out;
}

// Sorts in place, since the text and RecipeError::diagnostics() have the same order.
std::string sort_and_render(std::string_view file, std::string_view text, std::vector<Diagnostic>& diagnostics)
{
    std::ranges::stable_sort(diagnostics, {}, [](const Diagnostic& diagnostic) {
        return std::tuple(diagnostic.position.line, diagnostic.position.column);
    });
    const std::string name = printable(file, false);
    const std::vector<std::string_view> lines = split_lines(text);
    const std::size_t shown = std::min(diagnostics.size(), most_shown);
    std::string out;
    for (std::size_t i = 0; i < shown; ++i) {
        out += render(name, lines, diagnostics[i]) + "\n\n";
    }
    const std::size_t count = diagnostics.size();
    out += fmt::format("{} {} in {}", count, count == 1 ? "error" : "errors", name);
    return shown == count ? out : out + fmt::format(" (the first {} are shown)", shown);
}

} // namespace

RecipeError::RecipeError(std::string_view file, std::string_view text, std::vector<Diagnostic> diagnostics)
    : Error(ErrorKind::recipe, sort_and_render(file, text, diagnostics)), diagnostics_(std::move(diagnostics))
{
}

} // namespace kiln::recipes
