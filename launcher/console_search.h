// SPDX-License-Identifier: Apache-2.0
// Internal: looks for a regular expression in text that a guest wrote: a console log that grows, the body of an answer.
// Line by line, with a cap on a line's length, and with libstdc++'s matcher that neither recurses for each
// character nor goes back: `(a+)+$` costs milliseconds, not for ever. It has no back-references.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <regex>
#include <string>
#include <string_view>

namespace kiln::launcher
{

class LineSearch
{
public:
    // Throws Error{test_failed} when `pattern` is no regular expression. Nothing is searched past the deadline.
    LineSearch(const std::string& pattern, std::chrono::steady_clock::time_point deadline);
    void feed(std::string_view text);
    // Whether a line had it, then and ever after. A last line without an end counts as well.
    [[nodiscard]] bool found();

private:
    void search_line();

    std::regex pattern_;
    std::chrono::steady_clock::time_point deadline_;
    std::string line_;
    bool found_ = false;
};

class ConsoleSearch
{
public:
    ConsoleSearch(std::filesystem::path log, const std::string& pattern, std::chrono::steady_clock::time_point deadline)
        : log_(std::move(log)), search_(pattern, deadline)
    {
    }
    // Reads what is new and tells whether the pattern has been seen, then and ever after.
    [[nodiscard]] bool found();

private:
    std::filesystem::path log_;
    LineSearch search_;
    std::uint64_t offset_ = 0;
};

} // namespace kiln::launcher
