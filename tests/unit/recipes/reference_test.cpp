// SPDX-License-Identifier: Apache-2.0
// docs/recipe.md is true: its examples parse, and the errors that it shows are the ones that come.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>

namespace kiln::recipes::test
{
namespace
{

const std::string& reference()
{
    static const std::string text = read_file(std::filesystem::path(KILN_SOURCE_DIR) / "docs/recipe.md");
    return text;
}

// What stands in the ```toml blocks.
std::vector<std::string> examples()
{
    constexpr std::string_view start = "```toml\n";
    std::vector<std::string> blocks;
    for (std::size_t at = reference().find(start); at != std::string::npos; at = reference().find(start, at)) {
        at += start.size();
        blocks.push_back(reference().substr(at, reference().find("```", at) - at));
    }
    return blocks;
}

TEST(Reference, ExamplesParse)
{
    const kiln::test::TemporaryFolder folder;
    make_directories(folder.path() / "files");
    write_file_durably(folder.path() / "files/site.conf", "server {}\n");
    ASSERT_GE(examples().size(), 6U);
    std::string all;
    for (const std::string& example : examples()) {
        all += example;
        EXPECT_EQ(what_of(all, folder.path() / "x.toml"), "no error") << example;
    }
    const Recipe recipe = parse_recipe(all, folder.path() / "x.toml");
    EXPECT_EQ(recipe.steps.size(), 5U);
    EXPECT_EQ(std::ranges::count(recipe.tests, false, &recipes::Test::derived), 3);
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
