// SPDX-License-Identifier: Apache-2.0
#include "launcher/tags.h"

#include "core/error.h"
#include "core/text.h"
#include "launcher/instance_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t most_tags = 50;
constexpr std::size_t longest_key = 128;
constexpr std::size_t longest_value = 256;

std::size_t characters_in(const std::string& text)
{
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void require_tag(const std::string& key, const std::string& value)
{
    const auto refuse = [&](const char* why) {
        throw Error(ErrorKind::usage, fmt::format("the tag \"{}\" {}", printable(key.substr(0, 200), false), why),
                    "a tag is KEY=VALUE, like team=web");
    };
    if (key.empty() || characters_in(key) > longest_key) {
        refuse("has a key that is not 1 to 128 characters long");
    }
    if (characters_in(value) > longest_value) {
        refuse("has a value of more than 256 characters");
    }
    if (key.starts_with("aws:") || key.starts_with("kiln:")) {
        refuse("begins with a reserved word");
    }
    if (printable(key, false) != key || printable(value, false) != value) {
        refuse("has control or invisible characters");
    }
}

} // namespace

Tags parse_tags(const std::vector<std::string>& texts)
{
    Tags tags;
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        const std::string key = text.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
        if (equals == std::string::npos) {
            throw Error(ErrorKind::usage, fmt::format("the tag \"{}\" has no value", printable(text, false)),
                        "a tag is KEY=VALUE, like team=web");
        }
        require_tag(key, value);
        if (!tags.emplace(key, value).second) {
            throw Error(ErrorKind::usage, fmt::format("the tag \"{}\" comes twice", key));
        }
    }
    if (tags.size() > most_tags) {
        throw Error(ErrorKind::usage, fmt::format("{} tags are more than {}", tags.size(), most_tags));
    }
    return tags;
}

void change_tags(Tags& tags, const Tags& set, const std::vector<std::string>& removed, std::string_view whose)
{
    for (const auto& [key, value] : set) {
        tags[key] = value;
    }
    for (const std::string& key : removed) {
        tags.erase(key);
    }
    if (tags.size() > most_tags) {
        throw Error(ErrorKind::usage, fmt::format("{} would have more than {} tags", whose, most_tags));
    }
}

Instance change_tags(const Paths& paths, const std::string& id, const Tags& set,
                     const std::vector<std::string>& removed)
{
    const InstancePaths files(paths, id);
    return update_record(files, [&](Instance& instance) {
        change_tags(instance.tags, set, removed, id);
        append_event(files, "tagged", {{"tags", instance.tags}});
    });
}

} // namespace kiln::launcher
