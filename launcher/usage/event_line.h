// SPDX-License-Identifier: Apache-2.0
// Internal: one line of an event log, of an instance's or a volume's.
#pragma once

#include "core/json.h"
#include "launcher/usage/history.h"

#include <optional>
#include <string>
#include <string_view>

namespace kiln::launcher
{

struct EventLine {
    Time time{};
    std::string name;
    Json detail; // an object
};

// nullopt for what is none, as a crash leaves it.
[[nodiscard]] std::optional<EventLine> parse_event_line(std::string_view line);

// The member if it is text, else nothing.
[[nodiscard]] std::string text_of(const Json& detail, const char* key);
// Takes over the tags that the detail has; without any it changes nothing.
void take_tags(Tags& tags, const Json& detail);

// More than that is no log.
inline constexpr ByteSize longest_log = mebibytes(64);

} // namespace kiln::launcher
