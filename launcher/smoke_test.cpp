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

#include <algorithm>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::size_t most_at_once = 16;

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

// Changes nothing in the guest that another test could see.
bool only_looks(const bundle::Test& test)
{
    return test.kind == "console" || test.kind == "port" || test.kind == "http";
}

std::string title_of(std::span<const bundle::Test> tests)
{
    std::string title = "test: " + printable(tests.front().name, false);
    for (const bundle::Test& test : tests.subspan(1)) {
        title += ", " + printable(test.name, false);
    }
    return title;
}

// They wait rather than work, so one thread each, whatever the processors. Throws what the first one threw.
void at_once(std::size_t count, const std::function<void(std::size_t)>& work)
{
    std::mutex mutex;
    std::exception_ptr failure;
    const auto guarded = [&](std::size_t i) {
        try {
            work(i);
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = failure ? failure : std::current_exception();
        }
    };
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < count; ++i) {
            threads.emplace_back(guarded, i);
        }
        guarded(0);
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

// Throws only Error{interrupted}.
TestResult run_test(const Paths& paths, const Instance& instance, const bundle::Test& test, const std::stop_token& stop)
{
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
    return result;
}

} // namespace

std::vector<TestResult> run_tests(const Paths& paths, const Instance& instance, const std::vector<bundle::Test>& tests,
                                  Progress& progress, const std::stop_token& stop)
{
    std::vector<TestResult> results(tests.size());
    for (std::size_t first = 0; first < tests.size();) {
        std::size_t last = first + 1;
        while (only_looks(tests[first]) && last < tests.size() && last - first < most_at_once &&
               only_looks(tests[last])) {
            ++last;
        }
        const std::span<const bundle::Test> some(tests.data() + first, last - first);
        progress.stage(title_of(some));
        at_once(some.size(), [&](std::size_t i) { results[first + i] = run_test(paths, instance, some[i], stop); });
        first = last;
    }
    return results;
}

} // namespace kiln::launcher
