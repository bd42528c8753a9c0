// SPDX-License-Identifier: Apache-2.0
// What tar(1) sees in the tar of a tree.
#include "builder/tree_tar.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

using Entry = recipes::TreeStep::Entry;

class TreeTarTest : public testing::Test
{
protected:
    Entry file(const std::string& path, std::string_view content, std::uint32_t mode = 0644)
    {
        const std::filesystem::path source = folder_.path() / ("source-" + std::to_string(files_++));
        write_file_durably(source, content);
        return {.path = path,
                .kind = Entry::Kind::file,
                .source = source,
                .mode = mode,
                .digest = digest_of(content),
                .size = ByteSize(content.size())};
    }
    [[nodiscard]] std::filesystem::path tar() const { return folder_.path() / "tree.tar"; }

    test::TemporaryFolder folder_;
    int files_ = 0;
};

TEST_F(TreeTarTest, HoldsFilesFoldersAndLinksWithIdsAndModes)
{
    const std::string long_name(150, 'n');
    const recipes::TreeStep tree{.path = "/srv",
                                 .entries = {{.path = "", .kind = Entry::Kind::folder, .mode = 0750},
                                             file("a b", "content\n", 04755),
                                             {.path = "deep", .kind = Entry::Kind::folder, .mode = 0755},
                                             file("deep/" + long_name, ""),
                                             {.path = "link", .kind = Entry::Kind::link, .target = "../else"}}};
    write_tree_tar(tree, 12, 70000, tar());
    EXPECT_EQ(run_or_throw({.argv = {"tar", "--numeric-owner", "--utc", "-tvf", tar()}}, "listing"),
              "drwxr-x--- 12/70000          0 2000-01-01 00:00 ./\n"
              "-rwsr-xr-x 12/70000          8 2000-01-01 00:00 ./a b\n"
              "drwxr-xr-x 12/70000          0 2000-01-01 00:00 ./deep/\n"
              "-rw-r--r-- 12/70000          0 2000-01-01 00:00 ./deep/" +
                  long_name +
                  "\n"
                  "lrwxrwxrwx 12/70000          0 2000-01-01 00:00 ./link -> ../else\n");
    EXPECT_EQ(run_or_throw({.argv = {"tar", "-xOf", tar(), "./a b"}}, "reading"), "content\n");
}

TEST_F(TreeTarTest, AFileThatChangedIsRefused)
{
    for (const std::string_view changed : {"CONTENT\n", "content\nmore", "cont", ""}) {
        const Entry entry = file("f", "content\n");
        write_file_durably(entry.source, changed);
        try {
            write_tree_tar({.path = "/srv", .entries = {entry}}, 0, 0, tar());
            ADD_FAILURE() << changed;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::conflict);
        }
    }
}

TEST_F(TreeTarTest, ALinkInPlaceOfAFileIsNotFollowed)
{
    const Entry entry = file("f", "content\n");
    std::filesystem::rename(entry.source, folder_.path() / "moved");
    std::filesystem::create_symlink("moved", entry.source);
    EXPECT_THROW(write_tree_tar({.path = "/srv", .entries = {entry}}, 0, 0, tar()), Error);
}

} // namespace
} // namespace kiln::builder
