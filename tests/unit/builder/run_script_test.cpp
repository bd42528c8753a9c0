// SPDX-License-Identifier: Apache-2.0
// The scripts are run for real, by this host's sh, in a folder of the test's own.
#include "builder/run_script.h"
#include "core/text.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/text.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

struct Ran {
    std::string status; // empty: no file
    std::string log;
};

std::string here(std::string text, const std::string& folder)
{
    for (std::size_t at = 0; (at = text.find(run_folder, at)) != text.npos; at += folder.size()) {
        text.replace(at, run_folder.size(), folder);
    }
    return text;
}

Ran run_here(const recipes::RunStep& step, int limit = 20)
{
    const test::TemporaryFolder folder;
    const std::string place = folder.path();
    write_file_durably(folder.path() / "script", step.script, 0700);
    write_file_durably(folder.path() / "start", here(start_script(step), place));
    write_file_durably(folder.path() / "runner", here(runner_script(), place));
    const ProcessResult result = run({.argv = {"/bin/sh", folder.path() / "runner", std::to_string(limit)}});
    EXPECT_TRUE(result.succeeded()) << result.describe() << result.errors;
    Ran ran;
    if (fs::exists(folder.path() / "status")) {
        ran.status = read_file(folder.path() / "status");
    }
    ran.log = read_file(folder.path() / "log");
    return ran;
}

TEST(ShellQuoted, IsOneWordWhateverItHolds)
{
    EXPECT_EQ(shell_quoted(""), "''");
    EXPECT_EQ(shell_quoted("it's $HOME `x`\n\\"), "'it'\\''s $HOME `x`\n\\'");
}

TEST(RunScript, BothStreamsAreKeptAndTheStatusIsTheScripts)
{
    const Ran ran = run_here({.script = "echo out\necho err >&2\nexit 7\n"});
    EXPECT_EQ(ran.status, "7\n");
    EXPECT_EQ(ran.log, "out\nerr\n");
}

TEST(RunScript, ShellScriptsStopAtTheFirstFailure)
{
    const Ran ran = run_here({.script = "echo before\nfalse\necho after\n"});
    EXPECT_EQ(ran.status, "1\n");
    EXPECT_EQ(ran.log, "before\n");
}

TEST(RunScript, TheInterpreterLineIsHonoured)
{
    EXPECT_EQ(run_here({.script = "#!/usr/bin/awk -f\nBEGIN { print 6 * 7 }\n"}).log, "42\n");
    EXPECT_EQ(run_here({.script = "#!/no/such/program\n"}).status, "127\n");
}

TEST(RunScript, TheEnvironmentArrivesByteForByte)
{
    const std::string value = "it's \"$HOME\" `id` \\ and\nanother line";
    const Ran ran = run_here({.script = "printf %s \"$VALUE\"", .environment = {{"VALUE", value}}});
    EXPECT_EQ(ran.log, value);
    EXPECT_THROW((void)start_script({.environment = {{"A=1; reboot #", ""}}}), Error);
}

TEST(RunScript, TheFolderIsEnteredOrTheScriptFails)
{
    EXPECT_EQ(run_here({.script = "pwd", .folder = "/usr/share"}).log, "/usr/share\n");
    const Ran ran = run_here({.script = "echo ran", .folder = "/no such'folder"});
    EXPECT_NE(ran.status, "0\n");
    EXPECT_EQ(ran.log.find("ran\n"), ran.log.npos);
}

TEST(RunScript, PastItsTimeItHasNoStatus)
{
    const Ran ran = run_here({.script = "echo begun\nsleep 30\n"}, 1);
    EXPECT_EQ(ran.status, "");
    EXPECT_EQ(ran.log, "begun\n");
}

TEST(RunScript, ADaemonThatHoldsTheOutputIsNotWaitedFor)
{
    const Ran ran = run_here({.script = "sleep 8 &\necho done\n"});
    EXPECT_EQ(ran.status, "0\n");
    EXPECT_EQ(ran.log, "done\n");
}

TEST(RunScript, OutputIsBoundedAndTheScriptDoesNotNotice)
{
    const Ran ran = run_here({.script = "head -c 20000000 /dev/zero\n"});
    EXPECT_EQ(ran.status, "0\n");
    EXPECT_EQ(ran.log.size(), largest_output);
}

} // namespace
} // namespace kiln::builder
