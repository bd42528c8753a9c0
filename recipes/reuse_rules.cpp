// SPDX-License-Identifier: Apache-2.0
#include "recipes/reuse_rules.h"

#include "recipes/rule_helpers.h"

#include <array>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_identifier = 64;

Checked<std::string> check_identifier(std::string_view text)
{
    if (text.empty() || text.size() > longest_identifier || !consists_of(text, lower_case, digits, "_") ||
        is_one_of(text.front(), digits)) {
        return Problem{in_quotes(text) + " is not a name",
                       R"(lower-case letters, digits and "_", not a digit first, at most 64, like "listen_port")"};
    }
    return std::string(text);
}

Checked<std::string> check_parameter_type(std::string_view text)
{
    constexpr std::array<std::string_view, 3> supported{"string", "integer", "boolean"};
    return check_choice(text, supported);
}

Checked<ComponentReference> check_component_reference(std::string_view text)
{
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) {
        return Problem{in_quotes(text) + " names no version", R"(write NAME@VERSION, like "web-server@1.x.x")"};
    }
    auto name = rules::image_name.check(text.substr(0, at));
    if (auto* problem = std::get_if<Problem>(&name)) {
        return std::move(*problem);
    }
    const auto version = parse_version_pattern(text.substr(at + 1));
    if (!version) {
        return Problem{in_quotes(text.substr(at + 1)) + " is not a version or a pattern of one",
                       R"(write "1.4.2", "1.4.x", "1.x.x" or "x.x.x" behind the "@")"};
    }
    return ComponentReference{std::get<std::string>(std::move(name)), *version};
}

} // namespace

namespace rules
{

const Rule<std::string> identifier{check_identifier, R"("listen_port")"};
const Rule<std::string> parameter_type{check_parameter_type, R"("string")"};
const Rule<ComponentReference> component_reference{check_component_reference, R"("web-server@1.x.x")"};

} // namespace rules
} // namespace kiln::recipes
