// SPDX-License-Identifier: Apache-2.0
// What a process of an instance has lost when it starts, and the control group that it may be in.
#include "core/error.h"
#include "core/files.h"
#include "launcher/cgroup.h"
#include "launcher/confinement.h"
#include "launcher/qemu_process.h"
#include "tests/unit/launcher/fixtures.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fcntl.h>
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
    const WatchedProcess process(start_detached(argv, log, {.confinement = confinement}));
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

TEST(Confinement, Attack38_QemuOfRootIsAServiceUser)
{
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can become another";
    }
    const test::TemporaryFolder home;
    write_file_durably(home.path() / "secret", "of root's", 0600);
    const ServiceUserChoice choice = find_service_user("/bin/sh", Accelerator::tcg);
    ASSERT_TRUE(choice.user) << choice.reason;
    EXPECT_NE(choice.user->uid, 0U);
    Confinement confinement = confinement_of(paths_in(home.path()));
    confinement.user = choice.user;
    const std::string secret = (home.path() / "secret").native();
    const std::string seen = seen_by({"/bin/sh", "-c", "cat /proc/self/status; cat " + secret}, confinement);
    for (const char* id : {"Uid", "Gid"}) {
        const auto number = id == std::string("Uid") ? choice.user->uid : choice.user->gid;
        EXPECT_THAT(seen, HasSubstr(fmt::format("{0}:\t{1}\t{1}\t{1}\t{1}\n", id, number)));
    }
    EXPECT_THAT(seen, testing::ContainsRegex("Groups:[ \t]*\n"));
    EXPECT_THAT(seen, HasSubstr("CapEff:\t0000000000000000\n"));
    EXPECT_THAT(seen, HasSubstr("CapBnd:\t0000000000000000\n"));
    EXPECT_THAT(seen, HasSubstr("NoNewPrivs:\t1\n"));
    EXPECT_THAT(seen, HasSubstr("Permission denied"));
    EXPECT_THAT(seen, testing::Not(HasSubstr("of root's")));
}

TEST(Confinement, WhatCantBeTheServiceUserSaysWhy)
{
    if (::geteuid() != 0) {
        EXPECT_FALSE(find_service_user("/bin/sh", Accelerator::tcg).user);
        GTEST_SKIP() << "only root can become another";
    }
    const test::TemporaryFolder home;
    fs::permissions(home.path(), fs::perms::owner_all);
    fs::copy_file("/bin/true", home.path() / "qemu");
    const ServiceUserChoice hidden = find_service_user(home.path() / "qemu", Accelerator::tcg);
    EXPECT_FALSE(hidden.user);
    EXPECT_THAT(hidden.reason, HasSubstr("may not run " + (home.path() / "qemu").native()));
    ::setenv("KILN_SERVICE_USER", "root", 1);
    EXPECT_EQ(find_service_user("/bin/sh", Accelerator::tcg).reason, "KILN_SERVICE_USER says so");
    ::setenv("KILN_SERVICE_USER", "nobody-of-that-name", 1);
    EXPECT_THROW(static_cast<void>(find_service_user("/bin/sh", Accelerator::tcg)), Error);
    ::setenv("KILN_SERVICE_USER", "nobody", 1);
    EXPECT_EQ(find_service_user("/bin/sh", Accelerator::tcg).user.value().name, "nobody");
    ::unsetenv("KILN_SERVICE_USER");
}

TEST(Confinement, AProgramHasItsFolderItsPidFileAndWhatItInherits)
{
    const test::TemporaryFolder folder;
    const FileDescriptor given(::open("/dev/full", O_RDONLY | O_CLOEXEC));
    const FileDescriptor kept(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const fs::path log = folder.path() / "log";
    const WatchedProcess process(
        start_detached({"/bin/sh", "-c", "pwd; echo $$; cat pid; ls -l /proc/self/fd"}, log,
                       {.inherited = {given.get()}, .folder = folder.path(), .pid_file = folder.path() / "pid"}));
    EXPECT_TRUE(process.wait(std::chrono::seconds(20)));
    const std::string seen = read_file(log);
    EXPECT_THAT(seen, testing::StartsWith(fmt::format("{0}\n{1}\n{1}\n", folder.path().native(), process.pid())));
    EXPECT_THAT(seen, HasSubstr(fmt::format(" {} -> /dev/full\n", given.get())));
    EXPECT_THAT(seen, testing::Not(HasSubstr("/dev/zero")));
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
