// SPDX-License-Identifier: Apache-2.0
#include "recipes/test_rules.h"

#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <array>
#include <regex>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_http_path = 2048;
constexpr std::size_t longest_pattern = 1024;

Checked<std::string> check_http_path(std::string_view text)
{
    if (!text.starts_with('/') || text.size() > longest_http_path || !is_visible_ascii(text) ||
        text.find('#') != std::string_view::npos) {
        return Problem{in_quotes(text) + " is not the path of a URL",
                       R"(start with "/", without spaces, like "/health?full=1"; `port` is a key of its own)"};
    }
    return std::string(text);
}

Checked<std::string> check_http_body(std::string_view text)
{
    return rules::console_pattern.check(text);
}

// libstdc++ knows a little less than grep -E, and bounds what an expression may cost.
Checked<std::string> check_line_pattern(std::string_view text)
{
    if (text.empty() || text.size() > longest_pattern) {
        return Problem{in_quotes(text) + " is not a pattern",
                       fmt::format("a regular expression of 1 to {} bytes", longest_pattern)};
    }
    try {
        const std::regex compiled(text.begin(), text.end(), std::regex::extended);
    } catch (const std::regex_error& error) {
        return Problem{in_quotes(text) + " is not a regular expression: " + error.what(),
                       "POSIX extended syntax, as grep -E has it: [0-9] and [[:space:]], not \\d and \\s"};
    }
    return std::string(text);
}

Checked<std::string> check_unit_state(std::string_view text)
{
    constexpr std::array<std::string_view, 3> supported{"active", "inactive", "failed"};
    return check_choice(text, supported);
}

} // namespace

namespace rules
{

const Rule<std::string> http_path{check_http_path, R"("/health")"};
const Rule<std::string> http_body{check_http_body, R"("Welcome")"};
const Rule<std::string> line_pattern{check_line_pattern, R"("^Port 22$")"};
const Rule<std::string> unit_state{check_unit_state, R"("active")"};

} // namespace rules
} // namespace kiln::recipes
