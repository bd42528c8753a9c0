// SPDX-License-Identifier: Apache-2.0
// [[storage]]: layouts, and mistakes that would otherwise come out deep in a build.
#include "recipe_fixture.h"

namespace kiln::recipes::test
{
namespace
{

std::string with_volume(const std::string& lines)
{
    return extended("[[storage]]\n" + lines);
}

bool says(const std::string& text, const std::string& part)
{
    const std::string summary = summary_of(text);
    EXPECT_NE(summary.find(part), std::string::npos) << summary << text;
    return diagnostics_of(text).size() == 1;
}

TEST(Storage, TakesEachLayout)
{
    const Recipe recipe = parse_recipe(with_volume(R"(size = "1GiB"
type = "io2"
encrypted = true
filesystem = "xfs"
mount = "/srv"
options = ["noatime", "logbsize=256k"]
label = "data"
[[storage]]
size = "2GiB"
[[storage.partition]]
name = "swap"
size = "1GiB"
filesystem = "swap"
[[storage.partition]]
name = "rest"
filesystem = "vfat"
mount = "/boot/efi2"
[[storage]]
size = "1GiB"
volume_group = "vg"
[[storage.logical_volume]]
name = "home"
filesystem = "btrfs"
mount = "/home"
)"),
                                       "x.toml");
    ASSERT_EQ(recipe.volumes.size(), 4U);
    EXPECT_EQ(recipe.root().layout, Volume::Layout::partitions);
    EXPECT_EQ(recipe.root_part().filesystem.mount, "/");
    const Volume& whole = recipe.volumes[1];
    EXPECT_EQ(whole.device, "/dev/vdb");
    EXPECT_EQ(whole.type, "io2");
    EXPECT_TRUE(whole.encrypted);
    EXPECT_EQ(whole.layout, Volume::Layout::whole);
    EXPECT_EQ(whole.parts.at(0).filesystem.options, (std::vector<std::string>{"noatime", "logbsize=256k"}));
    EXPECT_EQ(recipe.volumes[2].parts.size(), 2U);
    EXPECT_EQ(recipe.volumes[2].parts[0].size, gibibytes(1));
    EXPECT_FALSE(recipe.volumes[2].parts[1].size.has_value());
    EXPECT_EQ(recipe.volumes[3].layout, Volume::Layout::lvm);
    EXPECT_EQ(recipe.volumes[3].volume_group, "vg");
}

TEST(Storage, TheRootIsTheLastPartition)
{
    const std::string parts = R"([[storage.partition]]
name = "swap"
size = "128MiB"
filesystem = "swap"
[[storage.partition]]
name = "root"
filesystem = "xfs"
)";
    const Recipe recipe = parse_recipe(changed("filesystem = \"ext4\"\n", parts), "x.toml");
    EXPECT_EQ(recipe.root_part().name, "root");
    EXPECT_EQ(recipe.root_part().filesystem.mount, "/");
    EXPECT_TRUE(says(changed("\"ext4\"", "\"vfat\""), "a root file system can't be vfat"));
    EXPECT_TRUE(says(changed("\"ext4\"", "\"ext4\"\nmount = \"/srv\""), "the root file system is mounted at \"/\""));
    EXPECT_TRUE(says(changed("\"ext4\"", "\"ext4\"\nencrypted = true"), "the root volume can't be encrypted"));
    EXPECT_TRUE(says(changed("filesystem = \"ext4\"", "volume_group = \"vg\""), "the root volume can't be under LVM"));
}

TEST(Storage, RefusesWhatWouldFailDeepInTheBuild)
{
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"size = \"200MiB\"\nfilesystem = \"xfs\"\nmount = \"/a\"\n", "xfs needs at least 300 MiB"},
        {"size = \"64MiB\"\nfilesystem = \"btrfs\"\nmount = \"/a\"\n", "btrfs needs at least 110 MiB"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\n", "storage[1].mount: is missing"},
        {"size = \"1GiB\"\nfilesystem = \"swap\"\nmount = \"/a\"\n", "swap is not mounted"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/\"\n", "is where the root file system is"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/etc/x\"\n", "nothing can be mounted at"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a/../b\"\n", "is not an absolute, normalized path"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a b\"\n", "may not have"},
        {"size = \"1GiB\"\nfilesystem = \"xfs\"\nmount = \"/a\"\nlabel = \"thirteenchars\"\n", "at most 12 characters"},
        {"size = \"1GiB\"\nfilesystem = \"vfat\"\nmount = \"/a\"\nlabel = \"twelve-chars\"\n", "at most 11 characters"},
        {"size = \"1GiB\"\nfilesystem = \"vfat\"\nmount = \"/boot\"\n", "kernels can't be installed on vfat"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a\"\noptions = [\"a,b\"]\n", "is not a mount option"},
        {"size = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a\"\noptions = [\"a b\"]\n", "is not a mount option"},
        {"size = \"1GiB\"\ndevice = \"/dev/vdc\"\nfilesystem = \"ext4\"\nmount = \"/a\"\n", "is not the next device"},
        {"size = \"1GiB\"\nencrypted = true\n[[storage.partition]]\nname = \"a\"\nfilesystem = \"swap\"\n",
         "an encrypted volume can't have partitions"},
        {"size = \"8MiB\"\nfilesystem = \"ext4\"\nmount = \"/a\"\n", "is too small"},
        {"size = \"1GiB\"\ntype = \"gp4\"\nfilesystem = \"ext4\"\nmount = \"/a\"\n", "\"gp4\" is not supported"},
    };
    for (const auto& [lines, message] : cases) {
        EXPECT_TRUE(says(with_volume(lines), message)) << lines;
    }
    const std::string part = "filesystem = \"ext4\"\nmount = \"/a\"\n";
    EXPECT_TRUE(says(with_volume("size = \"1GiB\"\n" + part + "[[storage]]\nsize = \"1GiB\"\n" + part),
                     "mounts a second file system at \"/a\""));
    EXPECT_TRUE(says(with_volume("size = \"1GiB\"\n[[storage.partition]]\nname = \"p\"\nsize = \"1GiB\"\n" + part),
                     "is too small for what is on the volume"));
    EXPECT_TRUE(says(with_volume("size = \"1GiB\"\n[[storage.partition]]\nname = \"p\"\n" + part +
                                 "[[storage.partition]]\nname = \"q\"\nfilesystem = \"swap\"\n"),
                     "only the last one takes what is left"));
}

TEST(Storage, OfAParentIsAddedTo)
{
    const auto child = [](const std::string& storage) {
        return "name = \"tiny\"\nversion = \"1.0.0\"\narchitecture = \"x86_64\"\n[base]\nami = \"debian-12\"\n" +
               storage;
    };
    const std::string data =
        "[[storage]]\ndevice = \"/dev/vdb\"\nsize = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a\"\n";
    const Recipe recipe = parse_recipe(child("[[storage]]\ndevice = \"/dev/vda\"\nsize = \"9GiB\"\n" + data), "x.toml");
    ASSERT_EQ(recipe.volumes.size(), 2U);
    EXPECT_TRUE(recipe.volumes[0].parts.empty());
    EXPECT_EQ(recipe.volumes[1].parts.at(0).filesystem.mount, "/a");
    EXPECT_TRUE(says(child("[[storage]]\ndevice = \"/dev/vda\"\nsize = \"9GiB\"\nfilesystem = \"ext4\"\n"),
                     "the root volume comes from the parent"));
    EXPECT_TRUE(
        says(child("[[storage]]\nsize = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/a\"\n"), "device: is missing"));
}

TEST(Attack42, ThousandsOfVolumesAreFewErrors)
{
    std::string many;
    for (int i = 0; i < 5000; ++i) {
        many += "[[storage]]\nsize = \"1GiB\"\nfilesystem = \"swap\"\n";
    }
    const auto diagnostics = diagnostics_of(extended(many));
    ASSERT_EQ(diagnostics.size(), 1U);
    EXPECT_EQ(diagnostics[0].message, "an image has at most 26 volumes");
}

} // namespace
} // namespace kiln::recipes::test
