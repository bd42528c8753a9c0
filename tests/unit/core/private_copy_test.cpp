// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "core/files.h"
#include "core/private_copy.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace kiln
{
namespace
{

namespace fs = std::filesystem;

TEST(PrivateCopy, KeepsBytesHolesAndLength)
{
    const test::TemporaryFolder folder;
    std::string bytes(std::size_t{3} << 20U, '\0');
    bytes[5] = 'x'; // the rest is zeroes, also at the end
    write_file_durably(folder.path() / "from", bytes);
    make_private_copy(folder.path() / "from", folder.path() / "to", digest_of(bytes), {});
    EXPECT_EQ(read_file(folder.path() / "to"), bytes);
    EXPECT_EQ(fs::status(folder.path() / "to").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(PrivateCopy, RefusesAnotherDigestAndWhatIsNoFile)
{
    const test::TemporaryFolder folder;
    write_file_durably(folder.path() / "from", "one");
    const auto kind = [&](const std::string& from, const std::string& to) {
        try {
            make_private_copy(folder.path() / from, folder.path() / to, digest_of("two"), {});
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::internal;
    };
    EXPECT_EQ(kind("from", "a"), ErrorKind::untrusted);
    EXPECT_EQ(kind(".", "b"), ErrorKind::io);
    EXPECT_EQ(kind("none", "c"), ErrorKind::not_found);
    ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(kind("pipe", "d"), ErrorKind::io); // and does not wait for a writer
}

} // namespace
} // namespace kiln
