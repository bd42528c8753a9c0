// SPDX-License-Identifier: Apache-2.0
// Which kind of step, test, base or layout a table is: exactly one of some keys says so.
#pragma once

#include "recipes/table_reader.h"

#include <optional>
#include <span>
#include <string_view>

namespace kiln::recipes
{

// What a diagnostic advises.
struct KindHints {
    std::string several; // when there is more than one of the keys
    std::string none;
};

// The one of `kinds` that the table has; nullopt after a diagnostic. The keys of `shared` belong to tables
// of other kinds, too, and count only where none of `kinds` is.
[[nodiscard]] std::optional<std::string_view> find_kind(TableReader& table, const KindHints& hints,
                                                        std::span<const std::string_view> kinds,
                                                        std::span<const std::string_view> shared = {});

// The same for one of a list of tables; `noun` is "step" or "test".
[[nodiscard]] std::optional<std::string_view> find_kind(TableReader& table, std::string_view noun,
                                                        std::span<const std::string_view> kinds,
                                                        std::span<const std::string_view> shared = {});

} // namespace kiln::recipes
