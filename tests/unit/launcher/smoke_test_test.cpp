// SPDX-License-Identifier: Apache-2.0
// Reports and console patterns with hostile guest text (attack 37).
#include "core/error.h"
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

std::chrono::steady_clock::time_point soon()
{
    return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

TEST(JunitXml, GuestTextIsEscaped)
{
    using namespace std::literals;
    using seconds = std::chrono::duration<double>;
    const std::string hostile = "]]><x a=\"&\"/> \x1b[31m \0 \xff \n::error::no"s;
    test::expect_golden("launcher/junit.xml",
                        junit_xml("debian-12@1.0.0",
                                  {{"boots", true, "", seconds(21.5)}, {"a<b", false, hostile, seconds(0.25)}},
                                  "2026-11-23T17:44:58Z", "failed units:\nweb.service ]]> </system-out> \x1b[2J\n"));
}

TEST(ConsoleSearch, SeesALineThatHasNoEndYet)
{
    const test::TemporaryFolder folder;
    const auto log = folder.path() / "console.log";
    ConsoleSearch search(log, "debian login:", soon());
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
    EXPECT_TRUE(ConsoleSearch(log, "^ready$", soon()).found());
}

TEST(LineSearch, APatternThatTriesEverythingIsHarmless)
{
    // A matcher that goes back takes 2^4096 steps for it, and ctest's time limit ends the test.
    LineSearch search("(a+)+$x?b", soon());
    search.feed(std::string(5'000, 'a') + "\n");
    EXPECT_FALSE(search.found());
}

TEST(LineSearch, SearchesNothingPastItsDeadline)
{
    LineSearch search("a", std::chrono::steady_clock::now() - std::chrono::seconds(1));
    search.feed("a\na");
    EXPECT_FALSE(search.found());
}

TEST(LineSearch, ACarriageReturnIsNoPartOfALine)
{
    LineSearch search("^login$", soon());
    search.feed("first\r\nlog");
    EXPECT_FALSE(search.found());
    search.feed("in\r");
    EXPECT_TRUE(search.found());
}

TEST(LineSearch, RefusesWhatIsNoRegularExpression)
{
    for (const char* pattern : {"(", "(a)\\1", "a{1000}{1000}{1000}"}) {
        try {
            const LineSearch search(pattern, soon());
            FAIL() << pattern;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::test_failed);
        }
    }
}

TEST(RunTests, AnUnknownKindIsAFailureAndNotRunAsAnother)
{
    const test::TemporaryFolder folder;
    Progress progress(true);
    const auto results = run_tests({}, {}, {{.name = "dance", .kind = "dance", .command = "true"}}, progress, {});
    ASSERT_EQ(results.size(), 1U);
    EXPECT_FALSE(results[0].passed);
    EXPECT_EQ(results[0].failure, "this Kiln has no test of the kind \"dance\"");
}

} // namespace
} // namespace kiln::launcher
