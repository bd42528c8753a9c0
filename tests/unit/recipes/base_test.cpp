// SPDX-License-Identifier: Apache-2.0
// [base]: what it may be, and attack 45: files without a digest, or with a wrong one.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

namespace kiln::recipes::test
{
namespace
{

std::string based(const std::string& base)
{
    return R"(name = "tiny"
version = "1.0.0"
architecture = "x86_64"
[base]
)" + base;
}

class Bases : public testing::Test
{
protected:
    void SetUp() override { write_file_durably(folder_.path() / "d.img", "disk"); }
    [[nodiscard]] std::string say(const std::string& base) const
    {
        return summary_of(based(base), folder_.path() / "x.toml");
    }
    kiln::test::TemporaryFolder folder_;
    std::string digest_ = digest_of("disk").hex();
};
using Attack45 = Bases;

TEST_F(Bases, AnImageTakesItsParentsVolumes)
{
    const Recipe recipe = parse_recipe(based("ami = \"debian-12@1.4.x\"\n"), "x.toml");
    const auto& base = std::get<AmiBase>(recipe.base);
    EXPECT_EQ(base.name, "debian-12");
    EXPECT_EQ(base.reference, "debian-12@1.4.x");
    EXPECT_TRUE(base.version.matches({1, 4, 9}));
    EXPECT_FALSE(base.version.matches({1, 5, 0}));
    EXPECT_TRUE(recipe.volumes.empty());
    EXPECT_TRUE(
        std::get<AmiBase>(parse_recipe(based("ami = \"debian-12\"\n"), "x.toml").base).version.matches({9, 9, 9}));
    const Recipe from_channel = parse_recipe(based("ami = \"debian-12@stable\"\n"), "x.toml");
    EXPECT_EQ(std::get<AmiBase>(from_channel.base).reference, "debian-12@stable");
    EXPECT_TRUE(std::get<AmiBase>(from_channel.base).version.matches({9, 9, 9}));
    for (const std::string bad : {"debian-12@", "debian-12@Stable", "debian-12@-x", "debian-12@x.1.x", "debian-12@1",
                                  "@1.x.x", "../x@1.x.x", "-x@1.0.0"}) {
        EXPECT_NE(say("ami = \"" + bad + "\"\n"), "") << bad;
    }
    EXPECT_EQ(say("ami = \"tiny@1.0.0\"\n"),
              "4:1 base: the image would be made from itself | raise `version`, or name an earlier version\n");
    EXPECT_EQ(say("ami = \"tiny@1.x.x\"\n"), "");
}

TEST_F(Bases, AreOfOneKind)
{
    EXPECT_EQ(say("ami = \"abc\"\nbootstrap = \"debian\"\n"),
              "4:1 base: is bootstrap and ami at once | an image is made from one of them\n");
    EXPECT_NE(say("amy = \"abc\"\n").find("did you mean \"ami\" by \"amy\"?"), std::string::npos);
}

TEST_F(Bases, ADiskIsAFileWithItsDigest)
{
    const Recipe recipe = parse_recipe(based("disk = \"d.img\"\nformat = \"raw\"\nsha256 = \"" + digest_ + "\"\n"),
                                       folder_.path() / "x.toml");
    const auto& base = std::get<DiskBase>(recipe.base);
    EXPECT_EQ(base.file, std::filesystem::canonical(folder_.path() / "d.img"));
    EXPECT_EQ(base.format, "raw");
    EXPECT_EQ(recipe.inputs.at(0).name, "d.img");
    EXPECT_EQ(recipe.inputs.at(0).digest, base.sha256);
    EXPECT_EQ(say("disk = \"" + (folder_.path() / "d.img").string() +
                  "\"\nformat = \"raw\"\nsha256 = \"sha256:" + digest_ + "\"\n"),
              "");
}

TEST_F(Attack45, AWrongOrMissingDigestNamesTheRightOne)
{
    const std::string other = digest_of("other").hex();
    EXPECT_EQ(say("disk = \"d.img\"\nformat = \"raw\"\nsha256 = \"" + other + "\"\n"),
              "7:10 base.sha256: is " + other + ", but \"d.img\" has " + digest_ +
                  " | the file is another one or was changed\n");
    EXPECT_EQ(say("disk = \"d.img\"\nformat = \"raw\"\n"),
              "4:1 base.sha256: is missing | the digest of \"d.img\" is now \"" + digest_ +
                  "\"; add it when that is the file that you mean\n");
    EXPECT_NE(say("disk = \"d.img\"\nformat = \"raw\"\nsha256 = \"abc\"\n").find("is not a SHA-256"),
              std::string::npos);
    EXPECT_NE(say("disk = \"d.img\"\nsha256 = \"" + digest_ + "\"\n").find("base.format: is missing"),
              std::string::npos);
}

TEST_F(Attack45, UrlsAndPathsThatLeaveAreRefused)
{
    const std::string rest = "\"\nformat = \"raw\"\nsha256 = \"" + digest_ + "\"\n";
    for (const std::string url : {"https://example.org/d.img", "file:///d.img", "nbd://x/y"}) {
        EXPECT_NE(say("disk = \"" + url + rest).find(" is a URL | download it first"), std::string::npos) << url;
    }
    for (const std::string path : {"../d.img", "./d.img", "", "/a/../b", "/"}) {
        EXPECT_NE(say("disk = \"" + path + rest), "") << path;
    }
    std::filesystem::create_symlink("/etc/passwd", folder_.path() / "link");
    EXPECT_NE(say("disk = \"link" + rest).find("leads out of the recipe's folder"), std::string::npos);
    EXPECT_NE(say("disk = \"/dev/zero" + rest).find("is not a regular file"), std::string::npos);
}

TEST_F(Attack45, ALayoutHasTheManifest)
{
    const std::string storage = "[[storage]]\nsize = \"1GiB\"\nfilesystem = \"ext4\"\n";
    const std::string manifest = "{\"schemaVersion\":2}";
    const std::string digest = digest_of(manifest).hex();
    const auto blobs = folder_.path() / "oci/blobs/sha256";
    const std::string base = "rootfs = \"oci\"\nformat = \"oci\"\nsha256 = \"" + digest + "\"\n" + storage;
    make_directories(blobs);
    EXPECT_NE(say(base).find("is not an OCI image layout"), std::string::npos);
    write_file_durably(folder_.path() / "oci/oci-layout", "{}");
    EXPECT_NE(say(base).find("has no manifest sha256:" + digest), std::string::npos);
    write_file_durably(blobs / digest, manifest);
    EXPECT_EQ(say(base), "");
    write_file_durably(blobs / digest, "changed");
    EXPECT_NE(say(base).find("but \"oci\" has " + digest_of("changed").hex()), std::string::npos);
}

} // namespace
} // namespace kiln::recipes::test
