// SPDX-License-Identifier: Apache-2.0
// Test results as JUnit XML, which CI systems read.
#include "core/text.h"
#include "launcher/smoke_test.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

// printable() has left no control character but newline and tab, which XML can hold.
std::string escaped(std::string_view text)
{
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\n':
            out += "&#10;";
            break;
        default:
            out += c;
        }
    }
    return out;
}

} // namespace

std::string junit_xml(const std::string& suite, const std::vector<TestResult>& results, const std::string& timestamp,
                      const std::string& guest_output)
{
    const auto failures = std::ranges::count(results, false, &TestResult::passed);
    double total = 0;
    std::string cases;
    for (const TestResult& result : results) {
        total += result.elapsed.count();
        cases += fmt::format(R"(    <testcase classname="{}" name="{}" time="{:.3f}")", escaped(suite),
                             escaped(result.name), result.elapsed.count());
        cases += result.passed
                     ? "/>\n"
                     : fmt::format(">\n      <failure message=\"{}\"/>\n    </testcase>\n", escaped(result.failure));
    }
    if (!guest_output.empty()) {
        cases += fmt::format("    <system-out>{}</system-out>\n", escaped(guest_output));
    }
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{}\" tests=\"{}\" "
        "failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{:.3f}\" timestamp=\"{}\">\n{}  </testsuite>\n"
        "</testsuites>\n",
        escaped(suite), results.size(), failures, total, escaped(timestamp), cases);
}

} // namespace kiln::launcher
