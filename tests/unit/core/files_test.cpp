// SPDX-License-Identifier: Apache-2.0
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln
{
namespace
{

namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder)
{
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Files, WritesWholeAndWithItsMode)
{
    const test::TemporaryFolder folder;
    const fs::path file = folder.path() / "f";
    write_file_durably(file, "old", 0600);
    write_file_durably(file, "new", 0600);
    EXPECT_EQ(read_file(file), "new");
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNoLitter)
{
    const test::TemporaryFolder folder;
    const fs::path file = folder.path() / "f";
    write_file_durably(file, "old");
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{16, 16}; // the next write past 16 bytes fails
        ::setrlimit(RLIMIT_FSIZE, &limit);
        try {
            write_file_durably(file, std::string(100, 'x'));
        } catch (const Error&) {
            ::_exit(7);
        }
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_EQ(read_file(file), "old");
    EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(Files, PublishingALinkToTheVeryFileLeavesNoOtherName)
{
    const test::TemporaryFolder folder;
    const auto there = folder.path() / "there";
    write_file_durably(there, "x");
    link_or_copy(there, folder.path() / "staged");
    publish_file(folder.path() / "staged", there);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "staged"));
    EXPECT_EQ(read_file(there, ByteSize(1)), "x");
}

TEST(Files, ReadingHasALimit)
{
    const test::TemporaryFolder folder;
    write_file_durably(folder.path() / "f", std::string(2000, 'x'));
    EXPECT_THROW(static_cast<void>(read_file(folder.path() / "f", ByteSize(1999))), Error);
    EXPECT_EQ(read_file(folder.path() / "f", ByteSize(2000)).size(), 2000U);
}

TEST(Files, NoSpaceIsSaidBeforehand)
{
    try {
        require_free_space("/", ByteSize(std::uint64_t{1} << 60U), "the build");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::no_space);
        EXPECT_NE(std::string(error.what()).find("the build needs 1048576 TiB in /, which has"), std::string::npos)
            << error.what();
    }
}

TEST(Files, APrivateFolderIsOursAlone)
{
    const test::TemporaryFolder folder;
    make_private_directory(folder.path() / "run");
    EXPECT_NO_THROW(make_private_directory(folder.path() / "run"));
    fs::create_directory_symlink(folder.path() / "run", folder.path() / "link");
    EXPECT_THROW(make_private_directory(folder.path() / "link"), Error);
    fs::permissions(folder.path() / "run", fs::perms::group_read, fs::perm_options::add);
    EXPECT_THROW(make_private_directory(folder.path() / "run"), Error);
}

TEST(WorkFolder, IsPrivateAndGoesWithItsOwner)
{
    const test::TemporaryFolder folder;
    fs::path path;
    {
        const WorkFolder work(folder.path(), "build-");
        path = work.path();
        EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
        write_file_durably(path / "f", "x");
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(WorkFolder, CanBeInAnother)
{
    const test::TemporaryFolder folder;
    const WorkFolder outer(folder.path(), "build-");
    const WorkFolder inner(outer.path(), "packages-");
    EXPECT_TRUE(std::filesystem::exists(inner.path()));
    EXPECT_EQ(WorkFolder::sweep_abandoned(outer.path()), 0);
    EXPECT_EQ(WorkFolder::sweep_abandoned(folder.path()), 0);
}

TEST(WorkFolder, IsMadeWhileOthersSweep)
{
    const test::TemporaryFolder folder;
    std::atomic<bool> done = false;
    std::thread sweeper([&] {
        while (!done) {
            WorkFolder::sweep_abandoned(folder.path());
        }
    });
    for (int i = 0; i < 500; ++i) {
        const WorkFolder work(folder.path(), "build-");
        EXPECT_TRUE(std::filesystem::exists(work.path()));
    }
    done = true;
    sweeper.join();
}

TEST(WorkFolder, OfAKilledOwnerIsSweptAndOfALiveOneIsNot)
{
    const test::TemporaryFolder folder;
    const WorkFolder live(folder.path(), "build-");
    const pid_t child = ::fork();
    if (child == 0) {
        const WorkFolder dead(folder.path(), "build-");
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(entries(folder.path()), 2U);
    EXPECT_EQ(WorkFolder::sweep_abandoned(folder.path()), 1);
    EXPECT_EQ(entries(folder.path()), 1U);
    EXPECT_TRUE(fs::exists(live.path()));
}

TEST(FileLock, OneHolderAndNoneAfterItsDeath)
{
    const test::TemporaryFolder folder;
    const fs::path file = folder.path() / "lock";
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const FileLock lock(file, FileLock::Wait::fail);
        [[maybe_unused]] const ssize_t written = ::write(ready[1], "x", 1);
        ::pause();
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_THROW(FileLock(file, FileLock::Wait::fail, "busy"), Error);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_NO_THROW(FileLock(file, FileLock::Wait::fail));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST(Digest, KnownVectors)
{
    // FIPS 180-2, appendix B.1
    EXPECT_EQ(digest_of("abc").to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const test::TemporaryFolder folder;
    write_file_durably(folder.path() / "f", std::string(3'000'000, 'a'));
    EXPECT_EQ(digest_of_file(folder.path() / "f"), digest_of(std::string(3'000'000, 'a')));
}

TEST(Digest, ParsesOnlyItsOneForm)
{
    const std::string hex(64, 'a');
    EXPECT_TRUE(Digest::parse("sha256:" + hex));
    for (const std::string& wrong : {hex, "sha256:" + hex + "a", "sha256:" + std::string(64, 'A'), "sha512:" + hex,
                                     "sha256:../../" + std::string(58, 'a'), std::string()}) {
        EXPECT_FALSE(Digest::parse(wrong)) << wrong;
    }
}

} // namespace
} // namespace kiln
