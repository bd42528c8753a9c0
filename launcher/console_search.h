// SPDX-License-Identifier: Apache-2.0
// Internal: looks for a pattern in a console log that grows. Line by line, with a cap on a line's
// length: std::regex recurses for each character, and the guest writes the log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <regex>
#include <string>

namespace kiln::launcher
{

class ConsoleSearch
{
public:
    ConsoleSearch(std::filesystem::path log, const std::string& pattern) : log_(std::move(log)), pattern_(pattern) {}
    // Reads what is new and tells whether the pattern has been seen, then and ever after.
    [[nodiscard]] bool found();

private:
    void search_line();

    std::filesystem::path log_;
    std::regex pattern_;
    std::uint64_t offset_ = 0;
    std::string line_;
    bool found_ = false;
};

} // namespace kiln::launcher
