// SPDX-License-Identifier: Apache-2.0
#include "launcher/smoke_test.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "launcher/console_search.h"
#include "launcher/guest.h"

#include <fmt/format.h>

#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::seconds;
using std::chrono::steady_clock;

std::string trimmed(std::string_view text)
{
    constexpr std::string_view space = " \t\r\n";
    const std::size_t first = text.find_first_not_of(space);
    return first == text.npos ? std::string()
                              : std::string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

// Each returns what went wrong, or nothing.
std::string check_run(const Paths& paths, const Instance& instance, const bundle::Test& test,
                      const std::stop_token& stop)
{
    const ExecResult result =
        exec(paths, instance, {"/bin/sh", "-c", test.command}, {}, seconds(test.timeout_seconds), stop);
    const std::string output = trimmed(result.output);
    if (result.status != test.status) {
        return fmt::format(R"(exit status {} instead of {}; it printed "{}" and "{}")", result.status, test.status,
                           tail_lines(output, 5), tail_lines(result.errors, 5));
    }
    if (test.output && output != *test.output) {
        return fmt::format(R"(it printed "{}" instead of "{}")", tail_lines(output, 20), *test.output);
    }
    return {};
}

std::string check_console(const Paths& paths, const Instance& instance, const bundle::Test& test,
                          const std::stop_token& stop)
{
    ConsoleSearch search(InstancePaths(paths, instance.id).console, test.pattern);
    const auto deadline = steady_clock::now() + seconds(test.timeout_seconds);
    while (!search.found()) {
        throw_if_interrupted(stop);
        if (steady_clock::now() > deadline) {
            return fmt::format("the console did not show \"{}\" within {} s", test.pattern, test.timeout_seconds);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return {};
}

} // namespace

std::vector<TestResult> run_tests(const Paths& paths, const Instance& instance, const std::vector<bundle::Test>& tests,
                                  Progress& progress, const std::stop_token& stop)
{
    std::vector<TestResult> results;
    for (const bundle::Test& test : tests) {
        progress.stage(fmt::format("test: {}", printable(test.name, false)));
        TestResult result;
        result.name = test.name;
        const auto started = steady_clock::now();
        try {
            result.failure = test.kind == "console" ? check_console(paths, instance, test, stop)
                                                    : check_run(paths, instance, test, stop);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            result.failure = error.what();
        }
        result.passed = result.failure.empty();
        result.elapsed = steady_clock::now() - started;
        results.push_back(std::move(result));
    }
    return results;
}

} // namespace kiln::launcher
