// SPDX-License-Identifier: Apache-2.0
#include "recipes/substitution.h"

#include "core/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kiln::recipes
{
namespace
{

constexpr std::string_view opening = "{{";
constexpr std::string_view closing = "}}";
constexpr std::string_view escape_hint = R"(for the two braces themselves, write {{ "{{" }})";

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view blanks = " \t";
    const std::size_t first = text.find_first_not_of(blanks);
    return first == std::string_view::npos ? std::string_view()
                                           : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// What stands between the braces of a reference that starts `text`; nullopt when it has no end. Braces
// in quotes are no end.
std::optional<std::string_view> find_expression(std::string_view text)
{
    char quote = 0;
    for (std::size_t at = opening.size(); at < text.size() && text[at] != '\n'; ++at) {
        const char c = text[at];
        if (quote != 0) {
            quote = c == quote ? '\0' : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (text.substr(at).starts_with(closing)) {
            return text.substr(opening.size(), at - opening.size());
        }
    }
    return std::nullopt;
}

bool is_braces(std::string_view expression)
{
    return expression == R"("{{")" || expression == "'{{'";
}

} // namespace

Checked<std::string> Substitution::resolve(std::string_view expression) const
{
    const std::string_view name = trimmed(expression);
    if (is_braces(name)) {
        return std::string(opening);
    }
    const auto found = parameters_->find(name);
    if (found != parameters_->end()) {
        return found->second.value ? to_string(*found->second.value) : std::string();
    }
    std::vector<std::string_view> names;
    for (const auto& [known, parameter] : *parameters_) {
        names.push_back(known);
    }
    constexpr std::size_t longest_name = 64; // that is worth a near-miss search
    const auto near = name.size() <= longest_name ? near_miss(name, names) : std::nullopt;
    return Problem{
        fmt::format("{{{{ {} }}}} refers to no parameter", shortened(name, longest_name)),
        near ? fmt::format("did you mean {{{{ {} }}}}?", *near)
        : names.empty()
            ? fmt::format("declare it in a [parameters.NAME] table; {}", escape_hint)
            : fmt::format("declared: {}; {}", shortened(fmt::format("{}", fmt::join(names, ", ")), 200), escape_hint)};
}

Checked<std::string> Substitution::in_text(std::string_view text)
{
    std::string out;
    while (true) {
        const std::size_t start = text.find(opening);
        out += text.substr(0, start);
        if (start == std::string_view::npos) {
            return out;
        }
        text.remove_prefix(start);
        const auto expression = find_expression(text);
        if (!expression) {
            return Problem{fmt::format("{} has no }}}}", in_quotes(text)),
                           fmt::format("write {{{{ NAME }}}} in one line; {}", escape_hint)};
        }
        auto value = resolve(*expression);
        if (auto* problem = std::get_if<Problem>(&value)) {
            return std::move(*problem);
        }
        const std::string& resolved = std::get<std::string>(value);
        if (resolved.size() > *budget_) {
            return Problem{"the references of this recipe become too much text", "16 MiB in all"};
        }
        *budget_ -= resolved.size();
        out += resolved;
        text.remove_prefix(opening.size() + expression->size() + closing.size());
    }
}

void Substitution::in_value(Value& value, const std::string& path, std::vector<Diagnostic>& diagnostics)
{
    for (std::size_t i = 0; i < value.children.size(); ++i) {
        Value& child = value.children[i];
        const std::string name = shortened(child.key, 64);
        in_value(child,
                 value.kind == Value::Kind::array ? fmt::format("{}[{}]", path, i)
                 : path.empty()                   ? name
                                                  : fmt::format("{}.{}", path, name),
                 diagnostics);
    }
    if (value.kind != Value::Kind::string || value.text.find(opening) == std::string::npos) {
        return;
    }
    const std::string_view text = value.text;
    if (const auto expression = text.starts_with(opening) ? find_expression(text) : std::nullopt;
        expression && expression->size() + opening.size() + closing.size() == text.size()) {
        const auto found = parameters_->find(trimmed(*expression));
        if (found != parameters_->end() && found->second.value) {
            if (const auto* number = std::get_if<std::int64_t>(&*found->second.value)) {
                value.kind = Value::Kind::integer;
                value.number = *number;
            } else if (const auto* truth = std::get_if<bool>(&*found->second.value)) {
                value.kind = Value::Kind::boolean;
                value.truth = *truth;
            }
        }
    }
    auto substituted = in_text(value.text);
    if (auto* problem = std::get_if<Problem>(&substituted)) {
        diagnostics.push_back({value.position, path, std::move(problem->message), std::move(problem->hint)});
    } else {
        value.text = std::get<std::string>(std::move(substituted));
    }
}

void Substitution::in_document(Value& root, std::vector<Diagnostic>& diagnostics)
{
    for (Value& child : root.children) {
        if (child.key != "parameters") {
            in_value(child, shortened(child.key, 64), diagnostics);
        }
    }
}

} // namespace kiln::recipes
