// SPDX-License-Identifier: Apache-2.0
#include "launcher/console_search.h"

#include <fstream>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t longest_line = 4096;

} // namespace

bool ConsoleSearch::found()
{
    std::ifstream in(log_, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(offset_));
    char chunk[65536];
    while (!found_ && in) {
        in.read(chunk, sizeof chunk);
        const auto got = static_cast<std::size_t>(in.gcount());
        offset_ += got;
        for (std::size_t i = 0; i < got; ++i) {
            if (chunk[i] == '\n') {
                search_line();
                line_.clear();
            } else if (line_.size() < longest_line) {
                line_ += chunk[i];
            }
        }
    }
    search_line(); // "login: " comes without an end of line
    return found_;
}

void ConsoleSearch::search_line()
{
    found_ = found_ || std::regex_search(line_, pattern_);
}

} // namespace kiln::launcher
