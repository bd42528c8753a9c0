// SPDX-License-Identifier: Apache-2.0
#include "core/output_file.h"

#include "core/error.h"
#include "core/files.h"
#include "core/transfer_meter.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

namespace kiln
{
namespace
{
namespace fs = std::filesystem;

class OutputFileTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    const fs::path path = folder.path() / "out";

    static ErrorKind kind_of(const std::function<void()>& action)
    {
        try {
            action();
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::internal;
    }
};

TEST_F(OutputFileTest, IsThereAsAWholeOrNotAtAll)
{
    {
        const OutputFile dropped(path);
        ASSERT_EQ(4, ::write(dropped.get(), "half", 4));
    }
    EXPECT_TRUE(fs::is_empty(folder.path()));
    OutputFile file(path);
    ASSERT_EQ(5, ::write(file.get(), "whole", 5));
    EXPECT_FALSE(fs::exists(path));
    file.commit();
    EXPECT_EQ("whole", read_file(path));
    EXPECT_EQ(1, std::distance(fs::directory_iterator(folder.path()), {}));
}

TEST_F(OutputFileTest, ReplacesNothing)
{
    write_file_durably(path, "first");
    EXPECT_EQ(ErrorKind::conflict, kind_of([&] { const OutputFile file(path); }));
    fs::remove(path);
    OutputFile late(path);
    write_file_durably(path, "faster");
    EXPECT_EQ(ErrorKind::conflict, kind_of([&] { late.commit(); }));
    EXPECT_EQ("faster", read_file(path));
    fs::create_symlink("nowhere", folder.path() / "link");
    EXPECT_EQ(ErrorKind::conflict, kind_of([&] { const OutputFile file(folder.path() / "link"); }));
    EXPECT_EQ(ErrorKind::not_found, kind_of([&] { const OutputFile file(folder.path() / "none/out"); }));
}

TEST(TransferText, ShowsHowFarItIs)
{
    EXPECT_EQ("[######......] 50 %  90 MiB of 180 MiB  61 MiB/s",
              transfer_text(mebibytes(90), mebibytes(180), mebibytes(61)));
    EXPECT_EQ("[............] 0 %  0 B of 180 MiB", transfer_text(ByteSize(), mebibytes(180), ByteSize()));
    EXPECT_EQ("[############] 100 %  0 B of 0 B", transfer_text(ByteSize(), ByteSize(), ByteSize()));
}

} // namespace
} // namespace kiln
