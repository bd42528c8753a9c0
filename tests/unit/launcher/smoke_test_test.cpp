// SPDX-License-Identifier: Apache-2.0
// Reports and console patterns with hostile guest text (attack 37).
#include "core/error.h"
#include "core/files.h"
#include "launcher/boot_times.h"
#include "launcher/console_search.h"
#include "launcher/github_annotations.h"
#include "launcher/smoke_test.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

namespace kiln::launcher
{
namespace
{

std::chrono::steady_clock::time_point soon()
{
    return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

TEST(JunitXml, Attack37_GuestTextIsEscaped)
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

// Console tests of files that appear while they wait: were they one after the other, none but the first would pass.
TEST(RunTests, ThoseThatOnlyLookRunAtOnce)
{
    const test::TemporaryFolder folder;
    Paths paths;
    paths.home = folder.path();
    paths.instances = folder.path() / "instances";
    Instance instance;
    instance.id = "i-0123456789abcdef0";
    const InstancePaths files(paths, instance.id);
    std::filesystem::create_directories(files.folder);
    std::jthread guest([&] {
        for (int i = 0; i < 20; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            std::ofstream(files.console, std::ios::app) << "tick " << i << "\n";
        }
    });
    std::vector<bundle::Test> tests;
    for (int i = 0; i < 6; ++i) { // each waits its second in vain
        tests.push_back({.name = std::to_string(i), .kind = "console", .pattern = "never", .timeout_seconds = 1});
    }
    tests.push_back({.name = "seen", .kind = "console", .pattern = "tick 5", .timeout_seconds = 10});
    Progress progress(true);
    const auto started = std::chrono::steady_clock::now();
    const auto results = run_tests(paths, instance, tests, progress, {});
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
    ASSERT_EQ(results.size(), 7U);
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(results[static_cast<std::size_t>(i)].name, std::to_string(i));
        EXPECT_FALSE(results[static_cast<std::size_t>(i)].passed);
    }
    EXPECT_TRUE(results[6].passed) << results[6].failure;
}

TEST(GithubAnnotations, Attack37_NothingEndsThemEarly)
{
    EXPECT_EQ(github_annotation(AnnotationLevel::error, "web@1.0.0: a,b", "50% of\n::error::it\r\x1b[2J"),
              "::error title=web@1.0.0%3A a%2Cb::50%25 of%0A::error::it\\x0d\\x1b[2J\n");
    EXPECT_EQ(github_annotation(AnnotationLevel::warning, "slow", ""), "::warning title=slow::\n");
    EXPECT_EQ(github_stop_commands("abc") + github_resume_commands("abc"), "::stop-commands::abc\n::abc::\n");
}

TEST(BootTimes, ExpectTheMedianOfThoseBefore)
{
    const test::TemporaryFolder folder;
    BootTimes times(folder.path() / "cache" / "boot-times.json");
    EXPECT_FALSE(times.expected("web"));
    times.add("web", 20);
    times.add("web", 90);
    EXPECT_FALSE(times.expected("web")); // two say nothing yet
    times.add("web", 22);
    EXPECT_EQ(times.expected("web"), 22);
    EXPECT_FALSE(times.expected("db"));
    for (int i = 0; i < 9; ++i) { // the older ones are forgotten
        times.add("web", 10);
    }
    EXPECT_EQ(times.expected("web"), 10);
    std::ofstream(folder.path() / "cache" / "boot-times.json") << "{ torn";
    EXPECT_FALSE(times.expected("web"));
    times.add("web", 10);
}

TEST(BootTimes, SlowerIsMoreThanTheToleranceAndASecond)
{
    EXPECT_TRUE(is_slower(31, 20, 50));
    EXPECT_FALSE(is_slower(29, 20, 50));
    EXPECT_FALSE(is_slower(1.9, 1, 50));
    EXPECT_TRUE(is_slower(2.1, 1, 50));
}

} // namespace
} // namespace kiln::launcher
