// SPDX-License-Identifier: Apache-2.0
#include "launcher/console_search.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <fstream>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t longest_line = 4096;

std::regex compiled(const std::string& pattern)
{
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error& error) {
        throw Error(ErrorKind::test_failed,
                    fmt::format("\"{}\" can't be searched for: {}", printable(pattern, false), error.what()),
                    "write an ECMAScript regular expression without back-references");
    }
}

} // namespace

LineSearch::LineSearch(const std::string& pattern, std::chrono::steady_clock::time_point deadline)
    : pattern_(compiled(pattern)), deadline_(deadline)
{
}

void LineSearch::feed(std::string_view text)
{
    for (const char c : text) {
        if (c == '\n') {
            search_line();
            line_.clear();
        } else if (line_.size() < longest_line) {
            line_ += c;
        }
        if (found_) {
            return;
        }
    }
}

bool LineSearch::found()
{
    search_line(); // "login: " comes without an end of line
    return found_;
}

void LineSearch::search_line()
{
    if (found_ || std::chrono::steady_clock::now() > deadline_) {
        return;
    }
    const bool carriage_return = line_.ends_with('\r'); // terminals and HTTP end their lines with both
    found_ = std::regex_search(line_.begin(), line_.end() - (carriage_return ? 1 : 0), pattern_);
}

bool ConsoleSearch::found()
{
    std::ifstream in(log_, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(offset_));
    char chunk[65536];
    while (in) {
        in.read(chunk, sizeof chunk);
        const auto got = static_cast<std::size_t>(in.gcount());
        offset_ += got;
        search_.feed({chunk, got});
    }
    return search_.found();
}

} // namespace kiln::launcher
