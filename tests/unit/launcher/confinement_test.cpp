// SPDX-License-Identifier: Apache-2.0
// What a process of an instance has lost when it starts, and the control group that it may be in.
#include "core/error.h"
#include "core/files.h"
#include "launcher/cgroup.h"
#include "launcher/confinement.h"
#include "launcher/qemu_process.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using testing::HasSubstr;

// What the program sees of itself.
std::string seen_by(const std::vector<std::string>& argv, const std::optional<Confinement>& confinement)
{
    const test::TemporaryFolder folder;
    const fs::path log = folder.path() / "log";
    const WatchedProcess process(start_detached(argv, log, {}, confinement));
    EXPECT_TRUE(process.wait(std::chrono::seconds(20)));
    return read_file(log);
}

TEST(Confinement, Attack38_NoCapabilityNoCoreNoNewPrivileges)
{
    const test::TemporaryFolder home;
    Confinement confinement = confinement_of(paths_in(home.path()));
    EXPECT_EQ(confinement.drop_capabilities, ::geteuid() == 0);
    const std::string seen = seen_by({"/bin/sh", "-c", "cat /proc/self/status; ulimit -c; ulimit -n"}, confinement);
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
        EXPECT_THAT(seen, HasSubstr(std::string(set) + ":\t0000000000000000\n"));
    }
    EXPECT_THAT(seen, HasSubstr("NoNewPrivs:\t1\n"));
    EXPECT_THAT(seen, HasSubstr("\n0\n")); // core files
    if (::geteuid() == 0) {
        EXPECT_THAT(seen, HasSubstr("CapBnd:\t0000000000000000\n")); // nor by exec of anything
    }
}

TEST(Confinement, AHelperOfAVpcKeepsWhatMapsRoot)
{
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root has capabilities";
    }
    const test::TemporaryFolder home;
    const std::string seen =
        seen_by({"/bin/sh", "-c", "cat /proc/self/status"}, helper_confinement(paths_in(home.path()), true));
    EXPECT_THAT(seen, HasSubstr("CapEff:\t0000000080000000\n")); // CAP_SETFCAP alone
    EXPECT_THAT(seen, HasSubstr("CapBnd:\t0000000080000000\n"));
}

TEST(Confinement, RootKeepsThemForAnothersHome)
{
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can make it another's";
    }
    const test::TemporaryFolder home;
    ASSERT_EQ(::chown(home.path().c_str(), 65534, 65534), 0);
    const Confinement confinement = confinement_of(paths_in(home.path()));
    EXPECT_FALSE(confinement.drop_capabilities);
    EXPECT_THAT(confinement.kept, HasSubstr("belongs to another user"));
}

TEST(Confinement, WhatCantBeConfinedDoesNotRun)
{
    const Confinement confinement{.cgroup = "/nowhere"};
    EXPECT_EQ(seen_by({"/bin/echo", "it runs"}, confinement), "kiln: the process could not be confined\n");
}

// A folder in cgroup v2's place: the control files are plain ones.
class FakeCgroup : public testing::Test
{
protected:
    FakeCgroup()
    {
        std::string own = read_file("/proc/self/cgroup", mebibytes(1));
        const auto at = own.find("0::/");
        if (at != own.npos) {
            own = own.substr(at + 4);
            group_ = folder_.path() / own.substr(0, own.find('\n'));
        }
        fs::create_directories(group_);
        write_file_durably(group_ / "cgroup.controllers", "cpuset cpu io memory pids\n");
    }
    void SetUp() override
    {
        if (group_.empty()) {
            GTEST_SKIP() << "this process is in no cgroup v2";
        }
    }

    test::TemporaryFolder folder_;
    fs::path group_;
};

TEST_F(FakeCgroup, LimitsAreTheGuestsAndWhatQemuNeeds)
{
    write_file_durably(group_ / "cgroup.subtree_control", "cpu memory pids\n");
    const fs::path ours = group_ / "kiln-i-0123456789abcdef0";
    fs::create_directories(ours);
    for (const char* file : {"memory.max", "pids.max", "cpu.max"}) { // the kernel makes them
        write_file_durably(ours / file, "");
    }
    const CgroupAttempt attempt =
        make_cgroup("i-0123456789abcdef0", {.memory = gibibytes(2), .vcpus = 2}, folder_.path());
    EXPECT_EQ(attempt.folder, ours) << attempt.reason;
    EXPECT_EQ(read_file(ours / "memory.max"), "3758096384");
    EXPECT_EQ(read_file(ours / "pids.max"), "258");
    EXPECT_EQ(read_file(ours / "cpu.max"), "300000 100000");
}

TEST_F(FakeCgroup, WithoutThemItSaysWhy)
{
    write_file_durably(group_ / "cgroup.subtree_control", "cpu cpuset\n");
    const CgroupAttempt attempt = make_cgroup("i-0123456789abcdef0", {}, folder_.path());
    EXPECT_TRUE(attempt.folder.empty());
    EXPECT_THAT(attempt.reason, HasSubstr("hands memory, pids and cpu to no groups below it"));
    EXPECT_THAT(make_cgroup("i-0123456789abcdef0", {}, "/nowhere").reason, HasSubstr("there is no cgroup v2"));
}

} // namespace
} // namespace kiln::launcher
