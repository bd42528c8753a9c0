// SPDX-License-Identifier: Apache-2.0
// The [[test]] tables.
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t derived_name_width = 60;
constexpr std::size_t most_tests = 1000; // as many as the AMI manifest takes

RunTest parse_run(TableReader& table)
{
    RunTest test;
    test.command = table.require("run", rules::command).value_or("");
    test.status = static_cast<int>(table.find_integer("status", test.status, 0, 255));
    test.output = table.find("output", rules::output);
    test.timeout = table.find("timeout", rules::duration).value_or(test.timeout);
    return test;
}

ConsoleTest parse_console(TableReader& table)
{
    ConsoleTest test;
    test.pattern = table.require("console", rules::console_pattern).value_or("");
    test.timeout = table.find("timeout", rules::duration).value_or(test.timeout);
    return test;
}

std::string derived_name(const Test& test)
{
    const auto* run = std::get_if<RunTest>(&test.check);
    const std::string text = run != nullptr ? run->command : std::get<ConsoleTest>(test.check).pattern;
    return text.empty() ? "" : shortened((run != nullptr ? "run " : "console ") + text, derived_name_width);
}

} // namespace

std::vector<Test> parse_tests(TableReader& root)
{
    constexpr std::array<std::string_view, 2> kinds{"run", "console"};
    std::vector<Test> tests;
    std::set<std::string> names;
    for (TableReader& table : root.find_tables("test")) {
        const auto kind = find_kind(table, "test", kinds);
        if (!kind) {
            continue;
        }
        const bool named = table.has("name");
        const auto name = table.find("name", rules::test_name);
        Test test;
        if (*kind == "run") {
            test.check = parse_run(table);
        } else {
            test.check = parse_console(table);
        }
        test.name = named ? name.value_or("") : derived_name(test);
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
