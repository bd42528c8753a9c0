// SPDX-License-Identifier: Apache-2.0
#include "core/semantic_version.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace kiln
{
namespace
{

// Three dot-separated parts, or nullopt.
std::optional<std::array<std::string_view, 3>> split(std::string_view text)
{
    const std::size_t first = text.find('.');
    const std::size_t second = first == text.npos ? text.npos : text.find('.', first + 1);
    if (second == text.npos || text.find('.', second + 1) != text.npos) {
        return std::nullopt;
    }
    return std::array{text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
}

std::optional<std::uint32_t> parse_number(std::string_view text)
{
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (error != std::errc{} || stop != end || leading_zero || value > INT32_MAX) {
        return std::nullopt;
    }
    return value;
}

} // namespace

std::string SemanticVersion::to_string() const
{
    return fmt::format("{}.{}.{}", major, minor, patch);
}

std::optional<SemanticVersion> parse_semantic_version(std::string_view text)
{
    const auto pattern = parse_version_pattern(text);
    if (!pattern || !pattern->major || !pattern->minor || !pattern->patch) {
        return std::nullopt;
    }
    return SemanticVersion{*pattern->major, *pattern->minor, *pattern->patch};
}

bool VersionPattern::matches(const SemanticVersion& version) const
{
    return (!major || *major == version.major) && (!minor || *minor == version.minor) &&
           (!patch || *patch == version.patch);
}

std::optional<VersionPattern> parse_version_pattern(std::string_view text)
{
    const auto parts = split(text);
    if (!parts) {
        return std::nullopt;
    }
    std::array<std::optional<std::uint32_t>, 3> numbers;
    bool wild = false;
    for (std::size_t i = 0; i < 3; ++i) {
        if ((*parts)[i] == "x") {
            wild = true;
            continue;
        }
        numbers[i] = parse_number((*parts)[i]);
        if (wild || !numbers[i]) {
            return std::nullopt;
        }
    }
    return VersionPattern{numbers[0], numbers[1], numbers[2]};
}

} // namespace kiln
