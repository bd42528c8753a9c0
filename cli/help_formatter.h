// SPDX-License-Identifier: Apache-2.0
// CLI11's help texts, with descriptions that break before the 80th column: CLI11 2.1 does not wrap.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace kiln::cli
{

class HelpFormatter : public CLI::Formatter
{
public:
    HelpFormatter();

    std::string make_option_desc(const CLI::Option* option) const override;
    std::string make_subcommand(const CLI::App* command) const override;
};

} // namespace kiln::cli
