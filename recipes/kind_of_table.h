// SPDX-License-Identifier: Apache-2.0
// Which kind of step or test a table is: exactly one of some keys says so.
#pragma once

#include "recipes/table_reader.h"

#include <optional>
#include <span>
#include <string_view>

namespace kiln::recipes
{

// The one of `kinds` that the table has; nullopt after a diagnostic. `noun` is "step" or "test".
[[nodiscard]] std::optional<std::string_view> find_kind(TableReader& table, std::string_view noun,
                                                        std::span<const std::string_view> kinds);

} // namespace kiln::recipes
