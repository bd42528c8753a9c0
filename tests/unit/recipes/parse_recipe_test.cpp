// SPDX-License-Identifier: Apache-2.0
// What a good recipe becomes: defaults, names; every_key_test.cpp has the rest.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

namespace kiln::recipes::test
{
namespace
{

TEST(ParseRecipe, FillsInDefaults)
{
    const Recipe recipe = parse_recipe(extended(R"(
[[step]]
file = "/a"
content = ""
[[step]]
run = "true"
[[step]]
user = "u"
[[step]]
service = "s"
[[test]]
run = "true"
[[test]]
console = "login:"
)"),
                                       "x.toml");
    kiln::test::expect_golden("recipes/defaults.json", to_json(recipe).dump(2) + "\n");
}

TEST(ParseRecipe, NamesATestAfterItsText)
{
    const Recipe recipe = parse_recipe(extended(R"(
[[test]]
run = """
set -e
	test -e /etc/hostname"""
[[test]]
run = "echo ääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
)"),
                                       "x.toml");
    EXPECT_EQ(recipe.tests.at(0).name, "run set -e test -e /etc/hostname");
    // 60 bytes at most, and no half of a character.
    EXPECT_EQ(recipe.tests.at(1).name, "run echo ääääääääääääääääääääääää...");
}

TEST(TitleOf, IsOneShortLine)
{
    EXPECT_EQ(title_of({.action = RunStep{.script = "\nset -e\napt-get clean\n"}, .position = {}}),
              "run set -e apt-get clean");
    EXPECT_EQ(title_of({.action = RunStep{.script = std::string(500, 'x')}, .position = {}}),
              "run " + std::string(53, 'x') + "...");
    EXPECT_EQ(title_of({.action = ServiceStep{.name = "ssh"}, .position = {}}), "service ssh");
}

TEST(LoadRecipe, SaysWhenThereIsNoFile)
{
    try {
        (void)load_recipe("/nonexistent/x.toml");
        FAIL() << "it loaded";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
    }
}

TEST(LoadRecipe, ReadsTheFile)
{
    const kiln::test::TemporaryFolder folder;
    write_file_durably(folder.path() / "x.toml", good_recipe);
    const Recipe recipe = load_recipe(folder.path() / "x.toml");
    EXPECT_EQ(recipe.name, "tiny");
    EXPECT_EQ(recipe.root().size, gibibytes(1));
}

} // namespace
} // namespace kiln::recipes::test
