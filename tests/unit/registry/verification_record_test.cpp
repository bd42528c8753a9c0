// SPDX-License-Identifier: Apache-2.0
#include "registry/verification_record.h"

#include "core/file_descriptor.h"
#include "tests/unit/registry/region_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <thread>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class VerificationRecordTest : public test::RegionTest
{
protected:
    VerificationRecordTest()
    {
        const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_CLOEXEC));
        settled = keeps_change_times(fd.get());
    }
    void SetUp() override
    {
        if (!settled) {
            GTEST_SKIP() << temporary.path() << " is on a file system whose change times Kiln does not rely on";
        }
        later();
    }
    // The kernel's clock for files goes on in steps of some milliseconds.
    static void later() { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

    // What the check of the only layer says, or why the image was refused.
    std::string launch(Reading reading = Reading::changed)
    {
        VerificationRecord record(file, std::chrono::seconds(0));
        fault = record.fault();
        try {
            static_cast<void>(verify(region, image, trust, test::owner, {.reading = reading, .record = &record}));
        } catch (const Error& error) {
            return error.message();
        }
        return decide(region, image, trust, test::owner, {.reading = reading, .record = &record}).checks.back().detail;
    }
    // Writes into the blob where it is, and puts the time of the change back.
    void change_in_place() const
    {
        struct stat before {
        };
        ASSERT_EQ(0, ::stat(blob.c_str(), &before));
        fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
        std::string bytes = read_file(blob);
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
        std::fstream stream(blob, std::ios::in | std::ios::out | std::ios::binary);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        stream.close();
        fs::permissions(blob, fs::perms::owner_write, fs::perm_options::remove);
        const timespec times[] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(0, ::utimensat(AT_FDCWD, blob.c_str(), times, 0));
        struct stat after {
        };
        ASSERT_EQ(0, ::stat(blob.c_str(), &after));
        ASSERT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        ASSERT_EQ(before.st_size, after.st_size);
    }

    Image image = publish("web", {1, 0, 0});
    fs::path blob = region.layout().blob_path(region.load_manifest(image).block_devices[0].layers[0].digest);
    fs::path file = temporary.path() / "verified" / "blobs.sqlite";
    std::optional<std::string> fault;
    bool settled = false;
};

TEST_F(VerificationRecordTest, AnUnchangedLayerIsReadOnce)
{
    VerificationRecord record(file, std::chrono::seconds(0));
    const auto detail = [&](Reading reading) {
        return decide(region, image, trust, test::owner, {.reading = reading, .record = &record}).checks.back().detail;
    };
    EXPECT_THAT(detail(Reading::changed), Not(HasSubstr("unchanged")));
    EXPECT_THAT(detail(Reading::changed), HasSubstr(", unchanged since it was last read"));
    EXPECT_THAT(detail(Reading::all), Not(HasSubstr("unchanged")));
    // Without a record, and in another home, everything is read.
    EXPECT_THAT(decide(region, image, trust, test::owner, {.reading = Reading::changed}).checks.back().detail,
                Not(HasSubstr("unchanged")));
    struct stat status {
    };
    ASSERT_EQ(0, ::stat(file.c_str(), &status));
    EXPECT_EQ(0600U, status.st_mode & 0777U);
    ASSERT_EQ(0, ::stat(file.parent_path().c_str(), &status));
    EXPECT_EQ(0700U, status.st_mode & 0777U);
}

TEST_F(VerificationRecordTest, Attack10ALayerThatWasChangedInPlaceIsReadAgain)
{
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    change_in_place();
    EXPECT_THAT(launch(), HasSubstr("its blob is damaged or was changed"));
    EXPECT_THAT(launch(Reading::all), HasSubstr("its blob is damaged or was changed"));
    change_in_place(); // back, and whole
    later();
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
}

TEST_F(VerificationRecordTest, Attack10AReplacedOrTruncatedLayerIsReadAgain)
{
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    const std::string good = read_file(blob);
    std::string bad = good;
    bad.back() = static_cast<char>(bad.back() ^ 1);
    overwrite(blob, bad);
    EXPECT_THAT(launch(), HasSubstr("its blob is damaged or was changed"));
    overwrite(blob, good);
    later();
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    fs::resize_file(blob, good.size() - 1);
    EXPECT_THAT(launch(), HasSubstr("bytes instead of"));
    fs::remove(blob);
    EXPECT_THAT(launch(), HasSubstr("its blob is missing"));
}

TEST_F(VerificationRecordTest, WhatChangedAMomentAgoIsNotNoted)
{
    VerificationRecord record(file); // with the real time
    const auto detail = [&] {
        return decide(region, image, trust, test::owner, {.reading = Reading::changed, .record = &record})
            .checks.back()
            .detail;
    };
    static_cast<void>(detail());
    EXPECT_THAT(detail(), Not(HasSubstr("unchanged")));
}

TEST_F(VerificationRecordTest, AnEntryIsOfThisBootAndOfWhatWasVerified)
{
    const FileDescriptor fd(::open(blob.c_str(), O_RDONLY | O_CLOEXEC));
    const FileState state = file_state_of(fd.get());
    const Digest digest = digest_of("a");
    VerificationRecord record(file, std::chrono::seconds(0));
    record.note({{state, digest}}, std::chrono::system_clock::now());
    EXPECT_TRUE(record.has(state, digest));
    EXPECT_FALSE(record.has(state, digest_of("b")));
    for (auto FileState::*field : {&FileState::mtime, &FileState::ctime, &FileState::size}) {
        FileState other = state;
        ++(other.*field);
        EXPECT_FALSE(record.has(other, digest));
    }
    FileState other = state;
    ++other.inode;
    EXPECT_FALSE(record.has(other, digest));

    sqlite3* database = nullptr;
    ASSERT_EQ(SQLITE_OK, sqlite3_open(file.c_str(), &database));
    ASSERT_EQ(SQLITE_OK, sqlite3_exec(database, "UPDATE verified SET boot = 'other'", nullptr, nullptr, nullptr));
    sqlite3_close(database);
    EXPECT_FALSE(record.has(state, digest));
    record.note({{other, digest}}, std::chrono::system_clock::now()); // and the other boot's are gone
    EXPECT_TRUE(record.has(other, digest));
    EXPECT_FALSE(record.has(state, digest));
}

// 130 MiB, mostly a hole: three chunks.
TEST_F(VerificationRecordTest, Attack10EachChunkOfALargeLayerIsChecked)
{
    const fs::path large = layer("large");
    fs::resize_file(large, mebibytes(130).bytes());
    image = region.publish(test::manifest_to_publish("large", {1, 0, 0}), {{"/dev/vda", large}}, key);
    const bundle::LayerReference stored = region.load_manifest(image).block_devices[0].layers[0];
    ASSERT_TRUE(stored.chunks);
    EXPECT_EQ(mebibytes(64), stored.chunks->size);
    EXPECT_EQ(3U, stored.chunks->digests.size());
    blob = region.layout().blob_path(stored.digest);
    EXPECT_EQ(stored.digest, digest_of_file(blob));
    later();
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    // What is known of the chunks is not taken for more.
    const FileDescriptor fd(::open(blob.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_FALSE(VerificationRecord(file).has(file_state_of(fd.get()), stored.digest));

    fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
    for (const std::uint64_t offset : {mebibytes(64).bytes() - 1, mebibytes(64).bytes(), mebibytes(130).bytes() - 1}) {
        const auto put = [&](char byte) {
            std::fstream stream(blob, std::ios::in | std::ios::out | std::ios::binary);
            stream.seekp(static_cast<std::streamoff>(offset)).put(byte);
        };
        put('x');
        EXPECT_THAT(launch(), HasSubstr(fmt::format("from byte {} on, instead of",
                                                    offset / mebibytes(64).bytes() * mebibytes(64).bytes())));
        put('\0');
    }
    later();
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
}

TEST_F(VerificationRecordTest, ARecordThatOthersMayWriteToIsNotUsed)
{
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    fs::permissions(file, fs::perms::others_write, fs::perm_options::add);
    EXPECT_THAT(launch(), Not(HasSubstr("unchanged")));
    EXPECT_THAT(fault.value_or(""), HasSubstr("is not a file that only this user can write to"));
}

TEST_F(VerificationRecordTest, ADamagedRecordIsNotUsedAndStopsNothing)
{
    EXPECT_THAT(launch(), HasSubstr("unchanged"));
    test::RegionTest::overwrite(file, std::string(9000, 'x'));
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_THAT(launch(), HasSubstr("sha256:"));
    EXPECT_TRUE(fault.has_value());
}

} // namespace
} // namespace kiln::registry
