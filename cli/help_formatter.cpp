// SPDX-License-Identifier: Apache-2.0
#include "cli/help_formatter.h"

#include <cstddef>
#include <sstream>

namespace kiln::cli
{
namespace
{

constexpr std::size_t terminal_width = 80;
constexpr std::size_t description_column = 30;

// CLI11 indents what follows a newline.
std::string wrap(const std::string& description)
{
    std::istringstream words(description);
    std::string text;
    std::size_t column = 0;
    for (std::string word; words >> word;) {
        const bool fits = column + 1 + word.size() <= terminal_width - description_column;
        if (column > 0) {
            text += fits ? ' ' : '\n';
        }
        column = (fits && column > 0 ? column + 1 : 0) + word.size();
        text += word;
    }
    return text;
}

} // namespace

HelpFormatter::HelpFormatter()
{
    column_width(description_column);
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const
{
    return wrap(Formatter::make_option_desc(option));
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const
{
    std::ostringstream out;
    CLI::detail::format_help(out, command->get_display_name(true), wrap(command->get_description()),
                             get_column_width());
    return out.str();
}

} // namespace kiln::cli
