// SPDX-License-Identifier: Apache-2.0
#include "builder/plan.h"

#include <gmock/gmock.h>

namespace kiln::builder
{
namespace
{

using recipes::parse_recipe;

constexpr std::string_view text = R"(
name = "plan"
version = "1.0.0"
architecture = "x86_64"
packages = ["openssh-server"]
[base]
bootstrap = "debian"
suite = "bookworm"
[[storage]]
size = "2GiB"
filesystem = "ext4"
[[step]]
file = "/etc/motd"
content = "one"
[[step]]
run = "true"
[[test]]
name = "boots"
run = "true"
)";

std::vector<PlannedLayer> plan_of(std::string text_of_recipe)
{
    return plan_layers(parse_recipe(text_of_recipe, "plan.toml"), std::nullopt);
}

std::string replaced(std::string_view from, std::string_view to)
{
    std::string result(text);
    result.replace(result.find(from), from.size(), to);
    return result;
}

// Of the two plans' layers: 's' for the same id, 'x' for another.
std::string compared(const std::vector<PlannedLayer>& left, const std::vector<PlannedLayer>& right)
{
    std::string result;
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
        result += left[i].id == right[i].id ? 's' : 'x';
    }
    return result;
}

std::vector<std::string> titles_of(const std::vector<PlannedLayer>& plan)
{
    std::vector<std::string> titles;
    for (const PlannedLayer& layer : plan) {
        titles.push_back(layer.title);
    }
    return titles;
}

TEST(Plan, HasALayerForEachStep)
{
    EXPECT_THAT(titles_of(plan_of(std::string(text))),
                testing::ElementsAre("bootstrap debian bookworm", "partitions and bootloader", "file /etc/motd",
                                     "run true", "seal and inspect"));
}

TEST(Plan, AnInputChangesTheLayersFromItsOwnUp)
{
    const auto before = plan_of(std::string(text));
    EXPECT_EQ("sssss", compared(before, plan_of(std::string(text) + "# a comment\n")));
    EXPECT_EQ("sssss", compared(before, plan_of(replaced("1.0.0", "1.0.1"))));
    EXPECT_EQ("sssss", compared(before, plan_of(replaced("\"boots\"", "\"starts\""))));
    EXPECT_EQ("sssxx", compared(before, plan_of(replaced("run = \"true\"", "run = \"false\""))));
    EXPECT_EQ("ssxxx", compared(before, plan_of(replaced("\"one\"", "\"two\""))));
    EXPECT_EQ("xxxxx", compared(before, plan_of(replaced("2GiB", "3GiB"))));
    EXPECT_EQ("xxxxx", compared(before, plan_of(replaced("openssh-server", "nginx-light"))));
}

TEST(Plan, AParentAmiIsTheGroundOfItsOwn)
{
    auto recipe = parse_recipe(text, "plan.toml");
    recipe.base = recipes::AmiBase{.name = "web", .version = {}, .reference = "web"};
    recipe.volumes.clear();
    const auto one = plan_layers(recipe, digest_of("one"));
    EXPECT_EQ("packages openssh-server", one.at(0).title);
    EXPECT_EQ("file /etc/motd", one.at(1).title);
    EXPECT_EQ("ssss", compared(one, plan_layers(recipe, digest_of("one"))));
    EXPECT_EQ("xxxx", compared(one, plan_layers(recipe, digest_of("two"))));
}

TEST(Plan, ARootfsGetsWhatMakesItBootBeforeItsBootloader)
{
    auto recipe = parse_recipe(text, "plan.toml");
    recipe.base = recipes::RootfsBase{.file = "/images/root.tar", .format = "tar", .sha256 = digest_of("root")};
    const auto plan = plan_layers(recipe, std::nullopt);
    EXPECT_THAT(titles_of(plan),
                testing::ElementsAre("rootfs root.tar", testing::StartsWith("packages grub-pc"),
                                     "partitions and bootloader", "file /etc/motd", "run true", "seal and inspect"));
    const auto& packages = std::get<recipes::PackagesStep>(plan.at(1).step->action).add;
    EXPECT_THAT(packages, testing::IsSupersetOf({"linux-image-cloud-amd64", "systemd-sysv", "openssh-server"}));
}

TEST(Plan, OnlyAnExt4RootIsBootstrappedNatively)
{
    EXPECT_EQ(plan_of(std::string(text)).front().kind, PlannedLayer::Kind::bootstrap);
    const auto plan = plan_of(replaced("ext4", "xfs"));
    EXPECT_EQ(plan.front().kind, PlannedLayer::Kind::rootfs);
    EXPECT_EQ(titles_of(plan).at(1), "partitions and bootloader");
}

} // namespace
} // namespace kiln::builder
