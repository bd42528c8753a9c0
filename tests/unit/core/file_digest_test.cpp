// SPDX-License-Identifier: Apache-2.0
#include "core/file_digest.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/parallel.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fcntl.h>

namespace kiln
{
namespace
{

TEST(FileDigest, IsOfTheRangeAndNoByteMore)
{
    const test::TemporaryFolder folder;
    const std::string bytes = std::string(700'000, 'a') + std::string(700'001, 'b');
    write_file_durably(folder.path() / "f", bytes);
    const FileDescriptor fd(::open((folder.path() / "f").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(digest_of(bytes), digest_of_range(fd.get(), 0, bytes.size(), "f"));
    EXPECT_EQ(digest_of(bytes.substr(5, 699'999)), digest_of_range(fd.get(), 5, 699'999, "f"));
    EXPECT_EQ(digest_of("b"), digest_of_range(fd.get(), bytes.size() - 1, 10, "f")); // where it ends
    EXPECT_EQ(digest_of(""), digest_of_range(fd.get(), 0, 0, "f"));
}

TEST(FileDigest, ChunksAreInOrderAndTheLastIsShorter)
{
    const test::TemporaryFolder folder;
    std::string bytes(2'500'000, 'a');
    for (std::size_t i = 0; i < bytes.size(); i += 1000) {
        bytes[i] = static_cast<char>(i / 1000);
    }
    write_file_durably(folder.path() / "f", bytes);
    const FileDescriptor fd(::open((folder.path() / "f").c_str(), O_RDONLY | O_CLOEXEC));
    const auto chunks = digests_of_chunks(fd.get(), ByteSize(bytes.size()), mebibytes(1), "f");
    ASSERT_EQ(3U, chunks.size());
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(digest_of(bytes.substr(i << 20U, std::size_t{1} << 20U)), chunks[i]) << i;
    }
    EXPECT_EQ(1U, digests_of_chunks(fd.get(), mebibytes(1), mebibytes(1), "f").size());
}

TEST(InParallel, DoesEachOnceAndTellsAFailure)
{
    std::vector<std::atomic<int>> done(1000);
    in_parallel(done.size(), [&](std::size_t i) { ++done[i]; });
    for (const auto& one : done) {
        EXPECT_EQ(1, one);
    }
    in_parallel(0, [](std::size_t) { FAIL(); });
    EXPECT_THROW(in_parallel(50,
                             [](std::size_t i) {
                                 if (i == 7) {
                                     throw Error(ErrorKind::io, "seven");
                                 }
                             }),
                 Error);
    EXPECT_GE(usable_processors(), 1U);
}

} // namespace
} // namespace kiln
