// SPDX-License-Identifier: Apache-2.0
#include "launcher/diagnosis.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/access.h"
#include "launcher/guest.h"

#include <fmt/format.h>

#include <vector>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds answer_limit{20};
constexpr std::size_t console_lines = 40;
constexpr std::size_t most_units = 40;
constexpr std::size_t journal_lines = 100;
constexpr std::size_t whole_console = 1'000'000;

// What a program of the guest prints, or why that can't be had.
std::string ask(const Paths& paths, const Instance& instance, const std::vector<std::string>& argv, std::size_t lines,
                const std::stop_token& stop)
{
    try {
        const ExecResult result = exec(paths, instance, argv, {}, answer_limit, stop);
        std::string text = printable(tail_lines(result.output, lines));
        return text.empty() ? "none\n" : text + (text.ends_with('\n') ? "" : "\n");
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return fmt::format("unknown: {}\n", printable(error.what(), false));
    }
}

std::string picture(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    try {
        return screenshot(paths, instance, stop);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return {};
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

std::string Diagnosis::text() const
{
    return fmt::format("failed units:\n{}journal, its last warnings:\n{}console, its last lines:\n{}\n", failed_units,
                       journal, console);
}

Diagnosis diagnose(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    Diagnosis diagnosis;
    diagnosis.screen = picture(paths, instance, stop);
    diagnosis.failed_units =
        ask(paths, instance, {"systemctl", "--failed", "--no-legend", "--plain", "--no-pager"}, most_units, stop);
    // Who can't tell the one can't tell the other, and each takes its time to say so.
    diagnosis.journal = diagnosis.failed_units.starts_with("unknown: ")
                            ? diagnosis.failed_units
                            : ask(paths, instance,
                                  {"journalctl", "--boot", "--priority=warning", "--no-pager",
                                   "--output=short-monotonic", fmt::format("--lines={}", journal_lines)},
                                  journal_lines, stop);
    diagnosis.console = console_tail(InstancePaths(paths, instance.id), console_lines);
    return diagnosis;
}

void save_diagnosis(const Diagnosis& diagnosis, const InstancePaths& files, const std::filesystem::path& folder)
{
    make_directories(folder);
    write_file_durably(folder / "failed-units.txt", diagnosis.failed_units);
    write_file_durably(folder / "journal.txt", diagnosis.journal);
    write_file_durably(folder / "console.log", console_tail(files, whole_console));
    if (!diagnosis.screen.empty()) {
        write_file_durably(folder / "screen.png", diagnosis.screen);
    }
}

} // namespace kiln::launcher
