// SPDX-License-Identifier: Apache-2.0
// [[secret]] and its uses.
#include "recipe_fixture.h"

namespace kiln::recipes::test
{
namespace
{

constexpr std::string_view use = "[[step]]\nrun = \"a\"\nsecrets = [\"key\"]\n";

TEST(Secrets, ComeFromAFileOrTheEnvironment)
{
    const Recipe recipe =
        parse_recipe(extended("[[secret]]\nname = \"key\"\nfile = \"private/key\"\n[[secret]]\nname = \"b\"\n"
                              "environment = \"B\"\n[[secret]]\nname = \"c\"\nfile = \"/run/c\"\n"
                              "[[step]]\nrun = \"a\"\nsecrets = [\"b\", \"key\", \"c\"]\n"),
                     "folder/x.toml");
    ASSERT_EQ(recipe.secrets.size(), 3U);
    EXPECT_EQ(recipe.secrets[0].file, "folder/private/key");
    EXPECT_EQ(recipe.secrets[1].environment_name, "B");
    EXPECT_EQ(recipe.secrets[1].file, "");
    EXPECT_EQ(recipe.secrets[2].file, "/run/c");
    EXPECT_EQ(std::get<RunStep>(recipe.steps.at(0).action).secrets, (std::vector<std::string>{"b", "key", "c"}));
}

TEST(Secrets, SourcesAreNotPartOfTheDigest)
{
    const auto digest = [](std::string_view source) {
        return *parse_recipe(extended("[[secret]]\nname = \"key\"\n" + std::string(source) + "\n" + std::string(use)),
                             "x.toml")
                    .digest;
    };
    EXPECT_EQ(digest("file = \"a\""), digest("environment = \"B\""));
}

TEST(Secrets, AreDeclaredAndUsed)
{
    EXPECT_EQ(
        summary_of(extended(use)),
        "14:12 step[0].secrets[0]: \"key\" is not a secret of the recipe | add a [[secret]] table with this name to "
        "the recipe\n");
    EXPECT_EQ(summary_of(extended("[[secret]]\nname = \"keys\"\nfile = \"a\"\n" + std::string(use))),
              "13:8 secret[0].name: \"keys\" is used by no step | name it in a `run` step: secrets = [\"keys\"]\n"
              "17:12 step[0].secrets[0]: \"key\" is not a secret of the recipe | did you mean \"keys\"?\n");
    EXPECT_EQ(
        summary_of(extended("[[secret]]\nname = \"key\"\n" + std::string(use))),
        "12:1 secret[0]: has neither file nor environment | exactly one of them says where its value comes from\n");
    EXPECT_EQ(
        summary_of(extended("[[secret]]\nname = \"key\"\nfile = \"a\"\n[[secret]]\nname = \"key\"\nfile = \"b\"\n" +
                            std::string(use))),
        "16:8 secret[1].name: \"key\" is the name of an earlier secret | name each one differently\n");
    EXPECT_EQ(diagnostics_of(extended("[[secret]]\nname = \"../key\"\nfile = \"a\"\n")).at(0).path, "secret[0].name");
    EXPECT_EQ(
        diagnostics_of(extended("[[secret]]\nname = \"key\"\nenvironment = \"A=B\"\n" + std::string(use))).at(0).path,
        "secret[0].environment");
}

} // namespace
} // namespace kiln::recipes::test
