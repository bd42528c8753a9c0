// SPDX-License-Identifier: Apache-2.0
// kiln version
#include "cli/context.h"

#include <fmt/format.h>

namespace kiln::cli
{

void add_version(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("version", "Print Kiln's version");
    on_run(*command, context, [&context] {
        print_result(context, {{"version", KILN_VERSION}}, fmt::format("kiln {}\n", KILN_VERSION));
    });
}

} // namespace kiln::cli
