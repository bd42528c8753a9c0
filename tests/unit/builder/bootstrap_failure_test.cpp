// SPDX-License-Identifier: Apache-2.0
// What mmdebstrap's log is turned into. The logs are cut from real runs.
#include "builder/debian_bootstrap.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

recipes::Recipe bookworm()
{
    recipes::Recipe recipe;
    recipe.base = recipes::BootstrapBase{.distribution = "debian", .suite = "bookworm", .mirror = ""};
    recipe.volumes.push_back({.device = "/dev/vda", .size = mebibytes(512), .parts = {}});
    return recipe;
}

TEST(BootstrapFailure, NamesEveryMissingPackage)
{
    const Error error = explain_bootstrap_failure("I: downloading packages with apt...\n"
                                                  "E: Unable to locate package nginz-light\n"
                                                  "E: Couldn't find any package by glob 'foo.x'\n"
                                                  "E: apt-get --yes install failed\n",
                                                  bookworm());
    EXPECT_EQ(error.kind(), ErrorKind::package);
    EXPECT_STREQ(error.what(), "debian bookworm has no package foo.x, nginz-light");
    EXPECT_FALSE(error.hint().empty());
}

TEST(BootstrapFailure, TellsNoNetworkFromAMissingPackage)
{
    const Error error = explain_bootstrap_failure(
        "Err:1 http://127.0.0.1:9 bookworm InRelease\n  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: "
        "Connection refused)\nE: Unable to locate package systemd\n",
        bookworm());
    EXPECT_EQ(error.kind(), ErrorKind::network);
}

TEST(BootstrapFailure, SaysHowMuchTheContentNeeds)
{
    const Error error = explain_bootstrap_failure(
        "__populate_fs: Could not allocate block in ext2 filesystem while writing file \"x\"\n"
        "mke2fs: Could not allocate block in ext2 filesystem while populating file system\n"
        "kiln: the tree has 921600 KiB\n",
        bookworm());
    EXPECT_EQ(error.kind(), ErrorKind::recipe);
    EXPECT_STREQ(error.what(), "storage[0].size: the root volume has 512 MiB, but its content alone needs 900 MiB");
}

TEST(BootstrapFailure, KnowsAFullDisk)
{
    const Error error = explain_bootstrap_failure("dpkg: error: No space left on device\n", bookworm());
    EXPECT_EQ(error.kind(), ErrorKind::no_space);
}

TEST(BootstrapFailure, KeepsTheLogsLastLinesOtherwise)
{
    const Error error = explain_bootstrap_failure("one\nE: setup failed: \x1b[31mred\n", bookworm());
    EXPECT_EQ(error.kind(), ErrorKind::package);
    EXPECT_NE(std::string(error.what()).find("setup failed: \\x1b[31mred"), std::string::npos);
}

TEST(BootstrapPackages, AddsAKernelOnlyWhereTheRecipeNamesNone)
{
    recipes::Recipe recipe = bookworm();
    EXPECT_EQ(packages_to_install(recipe),
              (std::vector<std::string>{"grub-pc", "systemd-sysv", "udev", "linux-image-cloud-amd64"}));
    recipe.packages = {"linux-image-amd64", "less"};
    EXPECT_EQ(packages_to_install(recipe),
              (std::vector<std::string>{"grub-pc", "systemd-sysv", "udev", "linux-image-amd64", "less"}));
}

} // namespace
} // namespace kiln::builder
