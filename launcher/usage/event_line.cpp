// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/event_line.h"

#include "launcher/usage/iso_time.h"

namespace kiln::launcher
{

std::optional<EventLine> parse_event_line(std::string_view line)
{
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.value("time", Json()).is_string() || !json.value("event", Json()).is_string()) {
        return std::nullopt;
    }
    const auto time = parse_iso_time(json.at("time").get<std::string>());
    const Json detail = json.value("detail", Json::object());
    if (!time || !detail.is_object()) {
        return std::nullopt;
    }
    return EventLine{*time, json.at("event").get<std::string>(), detail};
}

std::string text_of(const Json& detail, const char* key)
{
    const Json value = detail.value(key, Json());
    return value.is_string() ? value.get<std::string>() : std::string();
}

void take_tags(Tags& tags, const Json& detail)
{
    const Json now = detail.value("tags", Json());
    if (!now.is_object()) {
        return;
    }
    tags.clear();
    for (const auto& [key, value] : now.items()) {
        if (value.is_string()) {
            tags[key] = value.get<std::string>();
        }
    }
}

} // namespace kiln::launcher
