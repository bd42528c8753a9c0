// SPDX-License-Identifier: Apache-2.0
// Reports and console patterns with hostile guest text (attack 37).
#include "launcher/console_search.h"
#include "launcher/smoke_test.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <fstream>

namespace kiln::launcher
{
namespace
{

TEST(JunitXml, GuestTextIsEscaped)
{
    using namespace std::literals;
    using seconds = std::chrono::duration<double>;
    const std::string hostile = "]]><x a=\"&\"/> \x1b[31m \0 \xff \n::error::no"s;
    test::expect_golden("launcher/junit.xml",
                        junit_xml("debian-12@1.0.0",
                                  {{"boots", true, "", seconds(21.5)}, {"a<b", false, hostile, seconds(0.25)}},
                                  "2026-11-23T17:44:58Z"));
}

TEST(ConsoleSearch, SeesALineThatHasNoEndYet)
{
    const test::TemporaryFolder folder;
    const auto log = folder.path() / "console.log";
    ConsoleSearch search(log, "debian login:");
    EXPECT_FALSE(search.found()); // no file yet
    std::ofstream(log, std::ios::app) << "Debian GNU/Linux 12\r\ndebian log";
    EXPECT_FALSE(search.found());
    std::ofstream(log, std::ios::app) << "in: ";
    EXPECT_TRUE(search.found());
    EXPECT_TRUE(search.found());
}

TEST(ConsoleSearch, AnEndlessLineIsHarmless)
{
    const test::TemporaryFolder folder;
    const auto log = folder.path() / "console.log";
    std::ofstream(log) << std::string(10'000'000, 'a') << "\nready\n";
    EXPECT_TRUE(ConsoleSearch(log, "^ready$").found());
}

} // namespace
} // namespace kiln::launcher
