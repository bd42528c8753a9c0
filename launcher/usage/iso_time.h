// SPDX-License-Identifier: Apache-2.0
// Internal: text of core/timestamp.h as a point in time.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace kiln::launcher
{

// Nullopt unless is_iso_time.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_iso_time(std::string_view text);

} // namespace kiln::launcher
