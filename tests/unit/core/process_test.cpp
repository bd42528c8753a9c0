// SPDX-License-Identifier: Apache-2.0
#include "core/background_process.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace kiln
{
namespace
{

using Outcome = ProcessResult::Outcome;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(Process, KeepsStatusOutputAndErrorsApart)
{
    const ProcessResult result = run({.argv = {"sh", "-c", "cat; echo bad >&2; exit 3"}, .input = "in\n"});
    EXPECT_EQ(result.outcome, Outcome::exited);
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.output, "in\n");
    EXPECT_EQ(result.errors, "bad\n");
    EXPECT_EQ(result.describe(), "exited with status 3");
}

TEST(Process, ArgumentsAreNotForAShell)
{
    EXPECT_EQ(run({.argv = {"printf", "%s", "$(id); *"}}).output, "$(id); *");
}

TEST(Process, TellsSignalTimeoutAndNoStartApart)
{
    const ProcessResult killed = run({.argv = {"sh", "-c", "kill -9 $$"}});
    EXPECT_EQ(killed.outcome, Outcome::signalled);
    EXPECT_EQ(killed.status, SIGKILL);
    const ProcessResult late = run({.argv = {"sleep", "60"}, .timeout = milliseconds(50)});
    EXPECT_EQ(late.outcome, Outcome::timed_out);
    const ProcessResult missing = run({.argv = {"kiln-no-such-program"}});
    EXPECT_EQ(missing.outcome, Outcome::not_started);
    EXPECT_EQ(missing.status, ENOENT);
}

TEST(Process, AFailureNamesProgramStatusAndLastWords)
{
    try {
        run_or_throw({.argv = {"sh", "-c", "echo one >&2; echo two >&2; exit 4"}}, "trying");
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "trying: sh exited with status 4: one; two");
    }
    try {
        run_or_throw({.argv = {"kiln-no-such-program"}}, "trying");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::missing_tool);
    }
}

TEST(Process, AStopEndsTheWholeGroup)
{
    const test::TemporaryFolder folder;
    std::stop_source stop;
    const auto started = steady_clock::now();
    std::jthread stopper([&] {
        while (!std::filesystem::exists(folder.path() / "pid")) {
            std::this_thread::sleep_for(milliseconds(5));
        }
        stop.request_stop();
    });
    // A grandchild that holds the pipe open: only killing the group ends the wait.
    EXPECT_THROW(static_cast<void>(run({.argv = {"sh", "-c", "sleep 60 & echo $! > pid.tmp; mv pid.tmp pid; wait"},
                                        .folder = folder.path()},
                                       stop.get_token())),
                 Error);
    EXPECT_LT(steady_clock::now() - started, std::chrono::seconds(20));
    const pid_t grandchild = std::stoi(read_file(folder.path() / "pid"));
    for (int i = 0; i < 200 && ::kill(grandchild, 0) == 0; ++i) {
        std::this_thread::sleep_for(milliseconds(10)); // until init has reaped it
    }
    std::string state = "gone";
    if (::kill(grandchild, 0) == 0) {
        const std::string stat = read_file("/proc/" + std::to_string(grandchild) + "/stat");
        state = stat.substr(stat.rfind(')') + 2, 1);
    }
    EXPECT_TRUE(state == "gone" || state == "Z") << state;
}

TEST(Process, LinesArriveWhole)
{
    std::vector<std::string> lines;
    static_cast<void>(run({.argv = {"sh", "-c", "printf 'a' >&2; sleep 0.1; printf 'b\\nc' >&2"},
                           .on_error_line = [&](std::string_view line) { lines.emplace_back(line); }}));
    EXPECT_EQ(lines, (std::vector<std::string>{"ab", "c"}));
}

TEST(Process, OutputIsCapped)
{
    const ProcessResult result = run({.argv = {"sh", "-c", "yes | head -c 1000000"}, .output_limit = 1000});
    EXPECT_TRUE(result.succeeded());
    EXPECT_EQ(result.output.size(), 1000U);
}

TEST(Process, HandsDescriptorsDown)
{
    const test::TemporaryFolder folder;
    write_file_durably(folder.path() / "f", "through nine");
    const FileDescriptor fd(::open((folder.path() / "f").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(run({.argv = {"sh", "-c", "cat <&9"}, .descriptors = {{fd.get(), 9}}}).output, "through nine");
}

TEST(Process, ANumberOfTheChildsMayBeOneOfOurs)
{
    const test::TemporaryFolder folder;
    write_file_durably(folder.path() / "a", "a");
    write_file_durably(folder.path() / "b", "b");
    const FileDescriptor a(::open((folder.path() / "a").c_str(), O_RDONLY | O_CLOEXEC));
    const FileDescriptor b(::open((folder.path() / "b").c_str(), O_RDONLY | O_CLOEXEC));
    const std::string script = fmt::format("cat /proc/self/fd/{} /proc/self/fd/{}", b.get(), a.get());
    EXPECT_EQ(run({.argv = {"sh", "-c", script}, .descriptors = {{a.get(), b.get()}, {b.get(), a.get()}}}).output,
              "ab");
    for (int number = 3; number < 20; ++number) { // the pipes of run() among them
        EXPECT_EQ(
            run({.argv = {"cat", fmt::format("/proc/self/fd/{}", number)}, .descriptors = {{a.get(), number}}}).output,
            "a");
    }
}

TEST(Process, LimitsTheChild)
{
    const test::TemporaryFolder folder;
    const ProcessResult result = run({.argv = {"dd", "if=/dev/zero", "of=f", "bs=1024", "count=64", "status=none"},
                                      .folder = folder.path(),
                                      .limits = {{RLIMIT_FSIZE, 4096}}});
    EXPECT_EQ(result.outcome, Outcome::signalled);
    EXPECT_EQ(result.status, SIGXFSZ);
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "f"), 4096U);
}

TEST(BackgroundProcess, EndsWithItsOwner)
{
    const test::TemporaryFolder folder;
    BackgroundProcess process({"sleep", "60"}, folder.path() / "log");
    EXPECT_TRUE(process.running());
    process.stop();
    EXPECT_FALSE(process.running());
    EXPECT_THROW(BackgroundProcess({"kiln-no-such-program"}, folder.path() / "log"), Error);
}

} // namespace
} // namespace kiln
