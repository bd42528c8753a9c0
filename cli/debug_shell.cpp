// SPDX-License-Identifier: Apache-2.0
#include "cli/debug_shell.h"

#include "core/text.h"

#include <fmt/format.h>

#include <iostream>
#include <string>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

// Runs the line in `folder`, which it may change; what it printed comes back.
std::string run_line(builder::Appliance& appliance, const std::string& line, std::string& folder)
{
    const std::string mark = "kiln-debug-folder:";
    const std::string script =
        fmt::format("cd {} && {{ {}\n}} 2>&1; status=$?; [ $status = 0 ] || echo \"(status $status)\";"
                    " echo \"{}$(pwd)\"",
                    shell_quoted(folder), line, mark);
    std::string output = appliance.run({"/bin/sh", "-c", script});
    if (const std::size_t at = output.rfind(mark); at != std::string::npos) {
        folder = output.substr(at + mark.size());
        folder.erase(folder.find_last_not_of('\n') + 1);
        output.resize(at);
    }
    return output;
}

} // namespace

void debug_shell(builder::Appliance& appliance, const Error& failure)
{
    const bool terminal = ::isatty(STDIN_FILENO) == 1;
    fmt::print(stderr, "{}\nThis is the system as the step left it; nothing done here is kept. `exit` goes on.\n",
               printable(failure.what()));
    std::string folder = "/";
    for (std::string line;;) {
        if (terminal) {
            fmt::print(stderr, "{}# ", printable(folder, false));
            (void)std::fflush(stderr);
        }
        if (!std::getline(std::cin, line) || line == "exit") {
            return;
        }
        if (line.find_first_not_of(" \t") == std::string::npos) {
            continue;
        }
        try {
            fmt::print("{}", printable(run_line(appliance, line, folder)));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            fmt::print("{}\n", printable(error.message())); // a syntax error, say
        }
        (void)std::fflush(stdout);
    }
}

} // namespace kiln::cli
