// SPDX-License-Identifier: Apache-2.0
#include "recipes/kind_of_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace kiln::recipes
{

std::optional<std::string_view> find_kind(TableReader& table, const KindHints& hints,
                                          std::span<const std::string_view> kinds,
                                          std::span<const std::string_view> shared)
{
    std::vector<std::string_view> found;
    for (const std::string_view kind : kinds) {
        if (table.has(kind)) {
            found.push_back(kind);
        }
    }
    for (const std::string_view kind : shared) {
        if (found.empty() && table.contains(kind)) {
            found.push_back(kind);
        }
    }
    if (found.size() == 1) {
        return found.front();
    }
    if (found.size() > 1) {
        table.fail({fmt::format("is {} at once", fmt::join(found, " and ")), hints.several});
        return std::nullopt;
    }
    std::vector<std::string_view> all(kinds.begin(), kinds.end());
    all.insert(all.end(), shared.begin(), shared.end());
    const std::string message = fmt::format("has none of the keys {}", fmt::join(all, ", "));
    if (const auto misspelt = table.find_misspelt(all)) {
        table.fail({message, fmt::format("did you mean \"{}\" by {}?", misspelt->second, in_quotes(misspelt->first))});
    } else {
        table.fail({message, hints.none});
    }
    return std::nullopt;
}

std::optional<std::string_view> find_kind(TableReader& table, std::string_view noun,
                                          std::span<const std::string_view> kinds,
                                          std::span<const std::string_view> shared)
{
    return find_kind(
        table,
        KindHints{fmt::format("give each its own [[{}]], in the order that they are meant to happen", noun),
                  fmt::format("exactly one of them says what the {} does", noun)},
        kinds, shared);
}

} // namespace kiln::recipes
