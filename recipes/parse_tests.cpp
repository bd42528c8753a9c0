// SPDX-License-Identifier: Apache-2.0
// The [[test]] tables. Files and units of systemd are looked at by a command in the guest.
#include "recipes/guest_checks.h"
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"
#include "recipes/test_rules.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <span>
#include <utility>

namespace kiln::recipes
{
namespace
{

using std::chrono::seconds;

constexpr std::size_t derived_name_width = 60;
constexpr std::size_t most_tests = 1000; // as many as the AMI manifest takes
constexpr seconds quick{60};
constexpr seconds after_boot{180}; // a boot without KVM takes a minute

constexpr std::array<std::string_view, 7> kinds{"run", "console", "http", "file", "service", "unit", "port"};

seconds timeout_of(TableReader& table, seconds fallback = quick)
{
    return table.find("timeout", rules::duration).value_or(fallback);
}

RunTest parse_run(TableReader& table)
{
    RunTest test;
    test.command = table.require("run", rules::command).value_or("");
    test.status = static_cast<int>(table.find_integer("status", test.status, 0, 255));
    test.output = table.find("output", rules::output);
    test.timeout = timeout_of(table);
    return test;
}

ConsoleTest parse_console(TableReader& table)
{
    ConsoleTest test;
    test.pattern = table.require("console", rules::console_pattern).value_or("");
    test.timeout = timeout_of(table);
    return test;
}

std::uint16_t parse_port_number(TableReader& table, std::uint16_t fallback)
{
    return static_cast<std::uint16_t>(table.find_integer("port", fallback, 1, 65535));
}

PortTest parse_port(TableReader& table)
{
    PortTest test;
    test.port = parse_port_number(table, 80);
    test.timeout = timeout_of(table);
    return test;
}

HttpTest parse_http(TableReader& table)
{
    HttpTest test;
    test.path = table.require("http", rules::http_path).value_or("/");
    test.port = parse_port_number(table, test.port);
    test.status = static_cast<int>(table.find_integer("status", test.status, 100, 599));
    test.body = table.find("body", rules::http_body);
    test.timeout = timeout_of(table);
    return test;
}

RunTest parse_file(TableReader& table)
{
    FileCheck check;
    check.path = table.require("file", rules::guest_path).value_or("");
    check.absent = table.find_flag("absent", false);
    check.pattern = table.find("content", rules::line_pattern).value_or("");
    check.mode = table.find("mode", rules::file_mode);
    check.owner = table.find("owner", rules::account).value_or("");
    check.group = table.find("group", rules::account).value_or("");
    if (check.absent && (table.has("content") || table.has("mode") || table.has("owner") || table.has("group"))) {
        table.fail("absent", {"leaves nothing to look at", "remove `absent`, or content, mode, owner and group"});
    }
    return {.command = check_file(check), .timeout = timeout_of(table)};
}

RunTest parse_service(TableReader& table)
{
    const std::string unit = table.require("service", rules::unit).value_or("");
    return {.command = check_units({{.unit = unit, .state = "running"}}), .timeout = timeout_of(table, after_boot)};
}

RunTest parse_unit(TableReader& table)
{
    const std::string unit = table.require("unit", rules::unit).value_or("");
    const std::string state = table.find("state", rules::unit_state).value_or("active");
    return {.command = check_units({{.unit = unit, .state = state}}), .timeout = timeout_of(table, after_boot)};
}

// The kind, and the text that names the test when it has no name: "run true", "port 22".
struct Parsed {
    decltype(Test::check) check;
    std::string subject;
};
Parsed parse_check(TableReader& table, std::string_view kind)
{
    const auto text_of = [&table](std::string_view key) {
        const Value* value = table.find_any(key);
        return value == nullptr ? std::string() : value->text;
    };
    if (kind == "run") {
        return {parse_run(table), text_of(kind)};
    }
    if (kind == "console") {
        return {parse_console(table), text_of(kind)};
    }
    if (kind == "port") {
        const PortTest test = parse_port(table);
        return {test, std::to_string(test.port)};
    }
    if (kind == "http") {
        HttpTest test = parse_http(table);
        std::string subject = fmt::format("{} on port {}", test.path, test.port);
        return {std::move(test), std::move(subject)};
    }
    if (kind == "file") {
        return {parse_file(table), text_of(kind)};
    }
    if (kind == "service") {
        return {parse_service(table), text_of(kind)};
    }
    return {parse_unit(table), text_of(kind)};
}

// `port` alone is a test, too; in an http test it is a detail.
std::optional<std::string_view> find_test_kind(TableReader& table)
{
    const std::span<const std::string_view> all(kinds);
    return find_kind(table, "test", table.has("http") ? all.first(kinds.size() - 1) : all);
}

} // namespace

std::vector<Test> parse_tests(TableReader& root)
{
    std::vector<Test> tests;
    std::set<std::string> names;
    for (TableReader& table : root.find_tables("test")) {
        const auto kind = find_test_kind(table);
        if (!kind) {
            continue;
        }
        const bool named = table.has("name");
        const auto name = table.find("name", rules::test_name);
        const std::size_t failures = table.failures();
        Parsed parsed = parse_check(table, *kind);
        const bool is_right = table.failures() == failures; // else its text may be a default, which names nothing
        Test test;
        test.check = std::move(parsed.check);
        if (named) {
            test.name = name.value_or("");
        } else if (is_right && !parsed.subject.empty()) {
            test.name = shortened(fmt::format("{} {}", *kind, parsed.subject), derived_name_width);
        }
        if (!test.name.empty() && !names.insert(test.name).second) {
            Problem problem{"an earlier test has the name " + in_quotes(test.name),
                            "give each test a `name` of its own"};
            if (named) {
                table.fail("name", std::move(problem));
            } else {
                table.fail(std::move(problem));
            }
        }
        table.finish();
        tests.push_back(std::move(test));
    }
    if (tests.size() > most_tests) {
        root.fail("test",
                  {fmt::format("there are more than {} tests", most_tests), "put several checks into one `run`"});
    }
    return tests;
}

} // namespace kiln::recipes
