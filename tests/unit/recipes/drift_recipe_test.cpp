// SPDX-License-Identifier: Apache-2.0
// A draft is a recipe, whatever the names in it are.
#include "core/files.h"
#include "core/process.h"
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

// The names that the script's commands get, by running it with others in their place.
std::vector<std::string> words_of(const std::string& script)
{
    const std::string print =
        "p() { printf '%s\\0' \"$@\"; }; rm() { p \"$@\"; }; ln() { p \"$@\"; }; mv() { p \"$@\"; }; "
        "install() { p \"$@\"; }; chown() { p \"$@\"; }\n";
    const std::string output = run_or_throw({.argv = {"sh", "-ec", print + script}}, "the script");
    std::vector<std::string> words;
    for (std::size_t at = 0; at < output.size(); at = output.find('\0', at) + 1) {
        words.emplace_back(output.c_str() + at);
    }
    return words;
}

TEST(DriftRecipe, HostileNamesStayNames)
{
    const std::vector<std::string> names{"/srv/a\"b",
                                         "/srv/it's",
                                         "/srv/{{ name }}",
                                         "/srv/{{{{",
                                         "/srv/$(id)`id`",
                                         "/srv/caf\xc3\xa9",
                                         "/srv/\\x41\\",
                                         "/srv/ ",
                                         "/-rf",
                                         "/srv/# #",
                                         "/srv/" + std::string(200, 'x')};
    for (const std::string& name : names) {
        DriftRecipe drift{.name = "web", .version = "1.0.x", .parent = "debian-12@1.0.0", .notes = {name}};
        drift.files = {{Kind::file, name, 0644, 5, 6, "files/0000"},
                       {Kind::folder, name, 0750, 0, 0, ""},
                       {Kind::link, name, 0777, 0, 0, name}};
        drift.files_removed = {name};
        const Recipe recipe = loaded(drift);
        ASSERT_EQ(recipe.steps.size(), 2U) << name;
        const auto& file = std::get<FileStep>(recipe.steps.at(0).action);
        const auto& run = std::get<RunStep>(recipe.steps.at(1).action);
        std::vector<std::string> words{"-rf", "--", name};
        if (file.path != name) {
            EXPECT_EQ(file.path, "/var/tmp/kiln-drift-0000");
            words.insert(words.end(), {"-T", "--", file.path, name});
        }
        words.insert(words.end(), {"-h", "5:6", "--", name, "-d", "-m", "0750", "--", name, "-sfn", "--", name, name});
        EXPECT_EQ(words_of(run.script), words);
    }
}

TEST(DriftRecipe, WhatIsNoPlainTextIsLeftOutWithANote)
{
    for (const std::string name :
         {"/srv/new\nline\n[[step]]\nrun = \"x\"", "/srv/\x7f\x1b[0m", "/srv/caf\xe9", "/srv/\xe2\x80\xae"}) {
        DriftRecipe drift{.name = "web", .version = "1.0.x", .parent = "debian-12@1.0.0", .notes = {name}};
        drift.packages_added = {name};
        drift.users = {{name, 1000, "/home"}, {"admin", 1001, name}};
        drift.files = {{Kind::file, name, 0644, 5, 6, "files/0000"},
                       {Kind::folder, name, 0750, 0, 0, ""},
                       {Kind::link, name, 0777, 0, 0, "/srv"},
                       {Kind::link, "/srv/link", 0777, 0, 0, name}};
        drift.files_removed = {name};
        drift.services_enabled = drift.services_disabled = {name};
        EXPECT_TRUE(loaded(drift).steps.empty());
        const std::string text = draft_recipe(drift);
        std::size_t notes = 0;
        for (std::size_t at = text.find("not taken over"); at != text.npos; at = text.find("not taken over", at + 1)) {
            ++notes;
        }
        EXPECT_EQ(notes, 10U);
    }
}

TEST(DriftRecipe, OfNoDriftIsTheParent)
{
    EXPECT_TRUE(loaded({.name = "web", .version = "1.0.x", .parent = "debian-12@1.0.0"}).steps.empty());
}

} // namespace
} // namespace kiln::recipes
