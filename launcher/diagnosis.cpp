// SPDX-License-Identifier: Apache-2.0
#include "launcher/diagnosis.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/guest.h"

#include <fmt/format.h>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds answer_limit{20};
constexpr std::size_t console_lines = 40;
constexpr std::size_t most_units = 40;

std::string failed_units(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    try {
        const ExecResult result = exec(
            paths, instance, {"systemctl", "--failed", "--no-legend", "--plain", "--no-pager"}, {}, answer_limit, stop);
        const std::string units = printable(tail_lines(result.output, most_units));
        return units.empty() ? "none\n" : units + (units.ends_with('\n') ? "" : "\n");
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return fmt::format("unknown: {}\n", printable(error.what(), false));
    }
}

} // namespace

std::string console_tail(const InstancePaths& files, std::size_t lines)
{
    try {
        return printable(tail_lines(read_file(files.console, mebibytes(256)), lines));
    } catch (const Error&) {
        return "(the console is empty)";
    }
}

std::string diagnose(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    return fmt::format("failed units:\n{}console, its last lines:\n{}\n", failed_units(paths, instance, stop),
                       console_tail(files, console_lines));
}

} // namespace kiln::launcher
