// SPDX-License-Identifier: Apache-2.0
#include "recipes/parameters.h"

#include "core/error.h"
#include "core/text.h"
#include "recipes/reuse_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_name = 64; // that is worth a near-miss search

std::string_view example_of(const Parameter& parameter)
{
    return parameter.type == "integer" ? "8080" : parameter.type == "boolean" ? "true" : "\"text\"";
}

std::string_view article_of(const Parameter& parameter)
{
    return parameter.type == "integer" ? "an integer" : parameter.type == "boolean" ? "true or false" : "a string";
}

Checked<ParameterValue> check_allowed(const Parameter& parameter, ParameterValue value)
{
    if (const auto* text = std::get_if<std::string>(&value)) {
        if (const auto hidden = find_hidden_character(*text, true)) {
            return Problem{fmt::format("{} holds {}", in_quotes(*text), *hidden),
                           "only newlines and tabs may be in it"};
        }
    }
    if (!parameter.allowed.empty() && std::ranges::find(parameter.allowed, value) == parameter.allowed.end()) {
        std::vector<std::string> names;
        std::ranges::transform(parameter.allowed, std::back_inserter(names), to_string);
        return Problem{in_quotes(to_string(value)) + " is not allowed",
                       "allowed: " + shortened(join(names, ", "), 200)};
    }
    return value;
}

// A value that stands in TOML.
Checked<ParameterValue> check_value(const Parameter& parameter, const Value& value)
{
    if (parameter.type == "string" && value.kind == Value::Kind::string) {
        return check_allowed(parameter, value.text);
    }
    if (parameter.type == "integer" && value.kind == Value::Kind::integer) {
        return check_allowed(parameter, value.number);
    }
    if (parameter.type == "boolean" && value.kind == Value::Kind::boolean) {
        return check_allowed(parameter, value.truth);
    }
    return Problem{fmt::format("must be {}, not {}", article_of(parameter), describe(value.kind)),
                   fmt::format("write it like {}", example_of(parameter))};
}

// A value that stands on a command line.
Checked<ParameterValue> check_text(const Parameter& parameter, const std::string& text)
{
    if (parameter.type == "string") {
        return check_allowed(parameter, text);
    }
    if (parameter.type == "boolean" && (text == "true" || text == "false")) {
        return check_allowed(parameter, text == "true");
    }
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (parameter.type == "integer" && error == std::errc{} && stop == end) {
        return check_allowed(parameter, number);
    }
    return Problem{fmt::format("{} is not {}", in_quotes(text), article_of(parameter)),
                   fmt::format("write it like {}", example_of(parameter))};
}

void read_allowed(TableReader& table, Parameter& parameter)
{
    const Value* list = table.find_any("allowed");
    if (list == nullptr) {
        return;
    }
    if (list->kind != Value::Kind::array || list->children.empty() || parameter.type == "boolean") {
        table.fail("allowed", {"must be a list of strings or integers that may be the value",
                               fmt::format("write it like [{}]", example_of(parameter))});
        return;
    }
    std::vector<ParameterValue> allowed;
    for (const Value& item : list->children) {
        auto checked = check_value(parameter, item);
        if (auto* problem = std::get_if<Problem>(&checked)) {
            table.fail("allowed", std::move(*problem));
        } else {
            allowed.push_back(std::get<ParameterValue>(std::move(checked)));
        }
    }
    parameter.allowed = std::move(allowed);
}

// What near misses of `name` there are, or which names.
std::string hint_for(std::string_view name, const Parameters& parameters, std::string_view whose)
{
    std::vector<std::string_view> names;
    for (const auto& [known, parameter] : parameters) {
        names.push_back(known);
    }
    if (names.empty()) {
        return fmt::format("{} has no parameters", whose);
    }
    const auto near = name.size() <= longest_name ? near_miss(name, names) : std::nullopt;
    return near ? fmt::format("did you mean \"{}\"?", *near)
                : fmt::format("{} has: {}", whose, shortened(fmt::format("{}", fmt::join(names, ", ")), 200));
}

} // namespace

std::string to_string(const ParameterValue& value)
{
    if (const auto* text = std::get_if<std::string>(&value)) {
        return *text;
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*number);
    }
    return std::get<bool>(value) ? "true" : "false";
}

Parameters declare_parameters(TableReader& root)
{
    Parameters parameters;
    for (auto& [name, table] : root.find_named_tables("parameters")) {
        auto checked_name = rules::identifier.check(name);
        if (auto* problem = std::get_if<Problem>(&checked_name)) {
            table.fail(std::move(*problem));
        }
        Parameter parameter;
        const auto type = table.require("type", rules::parameter_type);
        (void)table.find("description", rules::description);
        if (type) {
            parameter.type = *type;
            read_allowed(table, parameter);
            if (const Value* fallback = table.find_any("default")) {
                auto checked = check_value(parameter, *fallback);
                if (auto* problem = std::get_if<Problem>(&checked)) {
                    table.fail("default", std::move(*problem));
                    parameter.faulty = true;
                } else {
                    parameter.value = std::get<ParameterValue>(std::move(checked));
                }
            }
            parameters.emplace(name, std::move(parameter));
        } else {
            (void)table.has("allowed");
            (void)table.has("default");
        }
        table.finish();
    }
    return parameters;
}

void set_parameters(Parameters& parameters, const std::map<std::string, std::string>& given, TableReader& root)
{
    for (const auto& [name, text] : given) {
        const auto found = parameters.find(name);
        if (found == parameters.end()) {
            if (root.has_below("parameters", name)) {
                continue; // its table has a diagnostic of its own
            }
            throw Error(ErrorKind::usage,
                        fmt::format("--set {}: the recipe has no such parameter", shortened(name, 60)),
                        hint_for(name, parameters, "the recipe"));
        }
        auto checked = check_text(found->second, text);
        if (auto* problem = std::get_if<Problem>(&checked)) {
            problem->message = fmt::format("--set {}: {}", name, problem->message);
            root.fail_below("parameters", name, std::move(*problem));
        } else {
            found->second.value = std::get<ParameterValue>(std::move(checked));
        }
    }
    for (const auto& [name, parameter] : parameters) {
        if (!parameter.value && !parameter.faulty && !given.contains(name)) {
            root.fail_below("parameters", name,
                            {"has no value", fmt::format("give it a default, or build with --set {}={}", name,
                                                         parameter.type == "string" ? "TEXT" : example_of(parameter))});
        }
    }
}

bool set_parameters(Parameters& parameters, TableReader& step, std::string_view component)
{
    bool good = true;
    const auto refuse = [&](std::string_view name, Problem problem) {
        step.fail_below("parameters", name, std::move(problem));
        good = false;
    };
    const Value* given = step.find_any("parameters");
    if (given != nullptr && given->kind != Value::Kind::table) {
        step.fail("parameters", {fmt::format("must be a table, not {}", describe(given->kind)),
                                 "write it like { listen_port = 8080 }"});
        return false;
    }
    if (given != nullptr) {
        for (const Value& value : given->children) {
            const auto found = parameters.find(value.key);
            if (found == parameters.end()) {
                refuse(value.key, {"unknown parameter", hint_for(value.key, parameters, component)});
                continue;
            }
            auto checked = check_value(found->second, value);
            if (auto* problem = std::get_if<Problem>(&checked)) {
                refuse(value.key, std::move(*problem));
            } else {
                found->second.value = std::get<ParameterValue>(std::move(checked));
            }
        }
    }
    for (const auto& [name, parameter] : parameters) {
        if (!parameter.value && !step.has_below("parameters", name)) {
            refuse(name, {"is missing", fmt::format("add {} = {}", name, example_of(parameter))});
        }
    }
    return good;
}

} // namespace kiln::recipes
