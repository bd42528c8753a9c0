// SPDX-License-Identifier: Apache-2.0
// Points in time as text: ISO 8601, UTC, whole seconds ("2026-11-23T17:44:58Z").
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace kiln
{

[[nodiscard]] std::string iso_time(std::chrono::system_clock::time_point time);
[[nodiscard]] std::string iso_now();
// Of just that form, with a day that exists: two such texts compare as the times do.
[[nodiscard]] bool is_iso_time(std::string_view text);

// "0.42 s", "21.3 s", "2 min 05 s".
[[nodiscard]] std::string human_duration(std::chrono::duration<double> duration);

} // namespace kiln
