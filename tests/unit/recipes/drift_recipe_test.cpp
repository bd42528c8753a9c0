// SPDX-License-Identifier: Apache-2.0
// A draft is a recipe, whatever the names in it are.
#include "core/files.h"
#include "recipes/drift_recipe.h"
#include "recipes/recipe.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::recipes
{
namespace
{

using Kind = DriftedFile::Kind;

Recipe loaded(const DriftRecipe& drift)
{
    const kiln::test::TemporaryFolder folder;
    std::filesystem::create_directories(folder.path() / "files");
    write_file_durably(folder.path() / "files" / "0000", "hello\n");
    write_file_durably(folder.path() / "recipe.toml", draft_recipe(drift));
    return load_recipe(folder.path() / "recipe.toml", {});
}

DriftRecipe sample()
{
    return {.name = "web",
            .version = "1.0.x",
            .parent = "debian-12@1.0.0",
            .packages_added = {"nginx-light"},
            .packages_removed = {"nano"},
            .notes = {"a\nnote = \"that\" breaks out"},
            .users = {{"admin", 1000, "/home/admin"}},
            .files = {{Kind::file, "/srv/index.html", 0644, 0, 0, "files/0000"},
                      {Kind::folder, "/srv/it's", 0750, 33, 33, ""},
                      {Kind::link, "/srv/link", 0777, 0, 0, "../a b"},
                      {Kind::left_out, "/srv/large", 0644, 1, 1, ""}},
            .files_removed = {"/etc/old\"file"},
            .services_enabled = {"nginx.service"},
            .services_disabled = {"ssh.service"}};
}

TEST(DriftRecipe, IsARecipeThatSaysWhatChanged)
{
    const Recipe recipe = loaded(sample());
    EXPECT_EQ(std::get<AmiBase>(recipe.base).reference, "debian-12@1.0.0");
    EXPECT_EQ(recipe.steps.size(), 6U);
    const std::string text = draft_recipe(sample());
    EXPECT_THAT(text, testing::HasSubstr("rm -rf -- '/etc/old\\\"file'"));
    EXPECT_THAT(text, testing::HasSubstr("install -d -m 0750 -- '/srv/it'"));
    EXPECT_THAT(text, testing::HasSubstr("chown -h 33:33"));
    EXPECT_THAT(text, testing::HasSubstr("ln -sfn -- '../a b' '/srv/link'"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("/srv/large")));
}

TEST(DriftRecipe, OfNoDriftIsTheParent)
{
    EXPECT_TRUE(loaded({.name = "web", .version = "1.0.x", .parent = "debian-12@1.0.0"}).steps.empty());
}

} // namespace
} // namespace kiln::recipes
