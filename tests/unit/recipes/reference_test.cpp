// SPDX-License-Identifier: Apache-2.0
// docs/recipe.md is true: its examples parse, and the errors that it shows are the ones that come.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

namespace kiln::recipes::test
{
namespace
{

const std::string& reference()
{
    static const std::string text = read_file(std::filesystem::path(KILN_SOURCE_DIR) / "docs/recipe.md");
    return text;
}

std::string replaced(std::string text, std::string_view from, std::string_view to)
{
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

// What stands in the blocks that start so.
std::vector<std::string> examples(std::string_view start = "```toml\n")
{
    std::vector<std::string> blocks;
    for (std::size_t at = reference().find(start); at != std::string::npos; at = reference().find(start, at)) {
        at += start.size();
        std::string block = reference().substr(at, reference().find("```", at) - at);
        for (const std::string_view what : {"DISK", "ROOTFS", "ARCHIVE"}) {
            block = replaced(block, "SHA256_OF_" + std::string(what), digest_of(what).hex());
        }
        blocks.push_back(std::move(block));
    }
    return blocks;
}

// The files that the examples name.
void write_files(const std::filesystem::path& folder)
{
    make_directories(folder / "files/app");
    make_directories(folder / "images");
    write_file_durably(folder / "files/site.conf", "server {}\n");
    write_file_durably(folder / "files/app/main", "#!/bin/sh\n");
    write_file_durably(folder / "files/tool.tar.gz", "ARCHIVE");
    write_file_durably(folder / "files/setup.sh", "#!/bin/sh\ntrue\n");
    write_file_durably(folder / "files/example.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
    write_file_durably(folder / "files/root.pem", certificate);
    write_file_durably(folder / "images/other.qcow2", "DISK");
    write_file_durably(folder / "images/root.tar.zst", "ROOTFS");
}

TEST(Reference, BasesParse)
{
    const kiln::test::TemporaryFolder folder;
    write_files(folder.path());
    const auto bases = examples("```toml base\n");
    ASSERT_EQ(bases.size(), 3U);
    for (const std::string& base : bases) {
        const std::string text = changed("[base]\nbootstrap = \"debian\"\nsuite = \"bookworm\"\n", base);
        const bool root = base.find("rootfs") != base.npos;
        const std::string storage = "[[storage]]\nsize = \"1GiB\"\nfilesystem = \"ext4\"\n";
        EXPECT_EQ(what_of(root ? text : replaced(text, storage, ""), folder.path() / "x.toml"), "no error") << base;
    }
}

TEST(Reference, ExamplesParse)
{
    const kiln::test::TemporaryFolder folder;
    write_files(folder.path());
    ASSERT_GE(examples().size(), 6U);
    std::string all;
    for (const std::string& example : examples()) {
        all += example;
        EXPECT_EQ(what_of(all, folder.path() / "x.toml"), "no error") << example;
    }
    const Recipe recipe = parse_recipe(all, folder.path() / "x.toml");
    EXPECT_EQ(recipe.steps.size(), 17U);
    EXPECT_EQ(recipe.volumes.size(), 4U);
    EXPECT_EQ(recipe.inputs.size(), 6U);
    EXPECT_EQ(recipe.tests.size(), 3U);
}

TEST(Reference, ShowsRealErrors)
{
    const std::string what = what_of(R"(name = "hello"
version = "1.0"
architecture = "x86_64"

[base]
bootstrap = "debain"
suite = "bookworm"

[[storage]]
size = "8 parsecs"
filesytem = "ext4"
)",
                                     "hello.toml");
    EXPECT_NE(reference().find("```\n" + what + "\n```\n"), std::string::npos) << what;
}

} // namespace
} // namespace kiln::recipes::test
