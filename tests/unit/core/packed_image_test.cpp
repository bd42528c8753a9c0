// SPDX-License-Identifier: Apache-2.0
// Packed images: what comes back, that `zstd -d` reads them, and what a hostile one meets.
#include "core/packed_image.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

namespace kiln
{
namespace
{

namespace fs = std::filesystem;
using testing::HasSubstr;

class PackedImage : public testing::Test
{
protected:
    FileDescriptor sparse_file(const char* name, ByteSize length) const
    {
        FileDescriptor fd(::open((folder.path() / name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(length.bytes())), 0);
        return fd;
    }
    // Data, holes, zeroes that are written, and an end in the middle of a page.
    FileDescriptor sample()
    {
        FileDescriptor fd = sparse_file("image", size);
        const auto put = [&](std::size_t at, std::string_view text) {
            wanted.replace(at, text.size(), text);
            EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), static_cast<off_t>(at)),
                      static_cast<ssize_t>(text.size()));
        };
        put(0, "first");
        put(std::size_t{4096} * 3 + 4090, "over the edge of a page");
        put(mebibytes(1).bytes() - 3, "over the edge of a frame");
        put(mebibytes(2).bytes(), std::string(20000, '\0'));
        put(size.bytes() - 4, "last");
        return fd;
    }
    std::string packed()
    {
        pack_image(sample().get(), size, folder.path() / "packed");
        return read_file(folder.path() / "packed");
    }
    [[nodiscard]] std::string refusal(std::string_view bytes) const
    {
        const fs::path file = folder.path() / "hostile";
        write_file_durably(file, bytes);
        const FileDescriptor from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        fs::remove(folder.path() / "into");
        try {
            unpack_image(from.get(), sparse_file("into", size).get(), size, "it");
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::untrusted);
            return error.message();
        }
        return "";
    }

    const test::TemporaryFolder folder;
    const ByteSize size{mebibytes(3).bytes() + 1000};
    std::string wanted = std::string(size.bytes(), '\0');
};

TEST_F(PackedImage, ComesBackWithItsHoles)
{
    EXPECT_LT(packed().size(), 4096U);
    EXPECT_EQ(fs::status(folder.path() / "packed").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    const FileDescriptor from(::open((folder.path() / "packed").c_str(), O_RDONLY | O_CLOEXEC));
    unpack_image(from.get(), sparse_file("back", size).get(), size, "it");
    EXPECT_TRUE(read_file(folder.path() / "back") == wanted);
    EXPECT_LE(allocated_size(folder.path() / "back"), ByteSize(24576));
    EXPECT_THROW(pack_image(from.get(), size, folder.path() / "packed"), Error) << "it is there";
}

TEST_F(PackedImage, IsReadByZstd)
{
    static_cast<void>(packed());
    const fs::path back = folder.path() / "back";
    run_or_throw({.argv = {"zstd", "-dq", (folder.path() / "packed").native(), "-o", back.native()}}, "unpacking");
    EXPECT_TRUE(read_file(back) == wanted);
}

TEST_F(PackedImage, OfAnotherSizeIsRefused)
{
    const std::string bytes = packed();
    EXPECT_EQ(refusal(bytes), "");
    const FileDescriptor from(::open((folder.path() / "packed").c_str(), O_RDONLY | O_CLOEXEC));
    for (const std::uint64_t other : {size.bytes() - 1, size.bytes() + 1, std::uint64_t{0}, mebibytes(2).bytes()}) {
        EXPECT_THROW(
            unpack_image(from.get(), sparse_file(std::to_string(other).c_str(), size).get(), ByteSize(other), "it"),
            Error)
            << other;
    }
}

TEST_F(PackedImage, ADamagedOneIsRefused)
{
    const std::string bytes = packed();
    EXPECT_THAT(refusal(""), HasSubstr("too short"));
    EXPECT_THAT(refusal(bytes.substr(0, bytes.size() - 1)), HasSubstr("does not end with a table"));
    EXPECT_THAT(refusal(bytes.substr(1)), HasSubstr("is about something else"));
    EXPECT_THAT(refusal(bytes.substr(bytes.size() - 30)), HasSubstr("its table is too long"));
    std::string other = bytes;
    other[0] = 'x';
    EXPECT_THAT(refusal(other), HasSubstr("a frame of it is damaged"));
    for (std::size_t at = bytes.size() - 4 * std::size_t{8} - 17; at < bytes.size(); ++at) { // every byte of the table
        other = bytes;
        other[at] = static_cast<char>(other[at] ^ 0x80);
        EXPECT_NE(refusal(other), "") << at;
    }
}

} // namespace
} // namespace kiln
