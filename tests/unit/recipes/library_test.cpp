// SPDX-License-Identifier: Apache-2.0
// The recipes that ship with Kiln.
#include "recipes/recipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace kiln::recipes
{
namespace
{

const std::filesystem::path library = std::filesystem::path(KILN_SOURCE_DIR) / "recipes/library";

TEST(Library, EachRecipeParsesAndIsNamedAfterItsFile)
{
    int seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(library)) {
        if (entry.path().extension() == ".toml") {
            EXPECT_EQ(load_recipe(entry.path()).name, entry.path().stem().string());
            ++seen;
        }
    }
    EXPECT_GE(seen, 1);
}

TEST(Library, Debian12)
{
    const Recipe recipe = load_recipe(library / "debian-12.toml");
    EXPECT_EQ(recipe.file, library / "debian-12.toml");
    EXPECT_EQ(recipe.name, "debian-12");
    EXPECT_EQ(recipe.version, (SemanticVersion{1, 0, 0}));
    EXPECT_EQ(recipe.architecture, "x86_64");
    const auto& base = std::get<BootstrapBase>(recipe.base);
    EXPECT_EQ(base.distribution, "debian");
    EXPECT_EQ(base.suite, "bookworm");
    EXPECT_EQ(base.mirror, "");
    EXPECT_EQ(recipe.root().device, "/dev/vda");
    EXPECT_EQ(recipe.root().size, gibibytes(2));
    EXPECT_EQ(recipe.root_part().filesystem.type, "ext4");
    EXPECT_TRUE(recipe.root().delete_on_termination);
    EXPECT_NE(std::ranges::find(recipe.packages, "openssh-server"), recipe.packages.end());
    EXPECT_NE(std::ranges::find(recipe.packages, "qemu-guest-agent"), recipe.packages.end());

    std::vector<std::string> titles;
    for (const Step& step : recipe.steps) {
        titles.push_back(title_of(step));
    }
    EXPECT_EQ(titles, (std::vector<std::string>{"file /etc/systemd/network/80-dhcp.network", "service systemd-networkd",
                                                "service systemd-resolved", "service ssh", "service e2scrub_reap",
                                                "user admin", "file /etc/motd"}));
    EXPECT_EQ(std::get<FileStep>(recipe.steps.at(0).action).content, "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n");
    EXPECT_TRUE(std::get<UserStep>(recipe.steps.at(5).action).sudo);
    ASSERT_EQ(recipe.tests.size(), 11U);
    EXPECT_FALSE(recipe.tests.at(5).derived);
    EXPECT_TRUE(recipe.tests.at(6).derived);
    EXPECT_EQ(std::get<RunTest>(recipe.tests.at(0).check).output, "running");
    EXPECT_EQ(std::get<RunTest>(recipe.tests.at(0).check).timeout, std::chrono::minutes(3));
    EXPECT_EQ(std::get<ConsoleTest>(recipe.tests.at(5).check).pattern, "Debian GNU/Linux 12");
    EXPECT_TRUE(recipe.digest.has_value());
}

} // namespace
} // namespace kiln::recipes
