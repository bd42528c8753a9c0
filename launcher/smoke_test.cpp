// SPDX-License-Identifier: Apache-2.0
#include "launcher/smoke_test.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "launcher/console_search.h"
#include "launcher/guest.h"
#include "launcher/http_check.h"
#include "launcher/network/port_forward.h"
#include "launcher/port_check.h"

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
    const auto deadline = steady_clock::now() + seconds(test.timeout_seconds);
    ConsoleSearch search(InstancePaths(paths, instance.id).console, test.pattern, deadline);
    while (!search.found()) {
        throw_if_interrupted(stop);
        if (steady_clock::now() > deadline) {
            return fmt::format("the console did not show \"{}\" within {} s", test.pattern, test.timeout_seconds);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return {};
}

std::string check_port(const Paths& paths, const Instance& instance, const bundle::Test& test,
                       const std::stop_token& stop)
{
    const Deadline deadline = in(seconds(test.timeout_seconds));
    const PortForward forward(paths, instance, test.port, stop);
    const std::string seen = wait_for_port(
        forward.host_port(), [&] { return forward.states(stop); }, deadline, stop);
    return seen.empty() ? std::string()
                        : fmt::format("port {} did not accept a connection within {} s; seen last: {}", test.port,
                                      test.timeout_seconds, seen);
}

std::string check_http(const Paths& paths, const Instance& instance, const bundle::Test& test,
                       const std::stop_token& stop)
{
    const PortForward forward(paths, instance, test.port, stop);
    return wait_for_http(forward.host_port(), test, stop);
}

std::string check(const Paths& paths, const Instance& instance, const bundle::Test& test, const std::stop_token& stop)
{
    if (test.kind == "run") {
        return check_run(paths, instance, test, stop);
    }
    if (test.kind == "console") {
        return check_console(paths, instance, test, stop);
    }
    if (test.kind == "port") {
        return check_port(paths, instance, test, stop);
    }
    if (test.kind == "http") {
        return check_http(paths, instance, test, stop);
    }
    return fmt::format("this Kiln has no test of the kind \"{}\"", test.kind);
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
            result.failure = check(paths, instance, test, stop);
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
