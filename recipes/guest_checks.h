// SPDX-License-Identifier: Apache-2.0
// Commands for /bin/sh in the guest that look whether something is so. Each is silent and ends with 0, or says
// what is wrong on standard output and ends with 1. Whatever comes from the recipe stands in quotes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::recipes
{

// `text` as one word for the shell, whatever is in it.
[[nodiscard]] std::string shell_quoted(std::string_view text);

struct FileCheck {
    std::string path{};
    std::string pattern{}; // of a line, for grep -E; empty: not looked at
    std::optional<std::uint32_t> mode{};
    std::string owner{}; // empty: not looked at
    std::string group{};
    bool absent = false;
};
[[nodiscard]] std::string check_file(const FileCheck& check);

struct UnitCheck {
    std::string unit{};
    // "enabled": and running, unless it is of a kind that ends (a oneshot, or its conditions are not met);
    // "running": active and enabled; else the ActiveState or UnitFileState that it must have.
    std::string state{};
};
// Waits for the end of the boot first. One systemctl for all of them.
[[nodiscard]] std::string check_units(const std::vector<UnitCheck>& units);

} // namespace kiln::recipes
