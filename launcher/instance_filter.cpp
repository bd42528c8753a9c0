// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance_filter.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kiln::launcher
{
namespace
{

constexpr std::array<std::string_view, 7> names{"state", "type", "image", "name", "instance-id", "tag-key", "tag:KEY"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> other_names{
    {{"instance-state-name", "state"}, {"instance-type", "type"}, {"image-id", "image"}}};

// What an instance has under that name; several where one filter looks at several things.
std::vector<std::string> values_of(const Instance& instance, std::string_view name, const std::string& key)
{
    if (name == "state") {
        return {std::string(name_of(instance.state))};
    }
    if (name == "type") {
        return {instance.type};
    }
    if (name == "image") {
        return {instance.image_id, instance.image_name,
                fmt::format("{}@{}", instance.image_name, instance.image_version)};
    }
    if (name == "name") {
        return instance.name ? std::vector{*instance.name} : std::vector<std::string>();
    }
    if (name == "instance-id") {
        return {instance.id};
    }
    std::vector<std::string> values;
    for (const auto& [tag, value] : instance.tags) {
        if (name == "tag-key" || tag == key) {
            values.push_back(name == "tag-key" ? tag : value);
        }
    }
    return values;
}

std::vector<std::string> split(std::string_view text)
{
    std::vector<std::string> parts;
    for (;;) {
        const auto comma = text.find(',');
        parts.emplace_back(text.substr(0, comma));
        if (comma == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(comma + 1);
    }
}

} // namespace

bool matches_pattern(std::string_view text, std::string_view pattern)
{
    // Where the last * was, and the text that it stands for so far: it takes one more on a mismatch.
    std::size_t t = 0;
    std::size_t p = 0;
    std::size_t star = std::string_view::npos;
    std::size_t taken = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
            ++t;
            ++p;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            taken = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

InstanceFilter::InstanceFilter(const std::vector<std::string>& texts)
{
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        Term term;
        term.name = text.substr(0, equals);
        for (const auto& [other, ours] : other_names) {
            term.name = term.name == other ? std::string(ours) : term.name;
        }
        const bool of_tag = term.name.starts_with("tag:") && term.name.size() > 4;
        if (of_tag) {
            term.key = term.name.substr(4);
            term.name = "tag:KEY";
        }
        if (equals == std::string::npos || std::ranges::find(names, term.name) == names.end() ||
            (term.name == "tag:KEY" && !of_tag)) {
            throw Error(ErrorKind::usage, fmt::format("--filter \"{}\" is no filter", printable(text, false)),
                        "for example state=running, type=t3.*, image=debian-12, tag:team=web,db, tag-key=team");
        }
        term.patterns = split(std::string_view(text).substr(equals + 1));
        if (term.name == "state") {
            for (const std::string& pattern : term.patterns) {
                if (pattern.find_first_of("*?") == std::string::npos && !parse_state(pattern)) {
                    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no state", printable(pattern, false)),
                                "there are pending, running, stopping, stopped, shutting-down, terminated");
                }
            }
        }
        terms_.push_back(std::move(term));
    }
}

bool InstanceFilter::matches(const Instance& instance) const
{
    return std::ranges::all_of(terms_, [&](const Term& term) {
        return std::ranges::any_of(values_of(instance, term.name, term.key), [&](const std::string& value) {
            return std::ranges::any_of(term.patterns,
                                       [&](const std::string& pattern) { return matches_pattern(value, pattern); });
        });
    });
}

bool InstanceFilter::asks_for_terminated() const
{
    return std::ranges::any_of(terms_, [](const Term& term) {
        return term.name == "state" && std::ranges::any_of(term.patterns, [](const std::string& pattern) {
                   return matches_pattern("terminated", pattern);
               });
    });
}

} // namespace kiln::launcher
