// SPDX-License-Identifier: Apache-2.0
#include "builder/plan.h"

#include "builder/layer_stack.h"

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

// A recipe whose second step installs packages, and a lock file for it.
class LockedPlan : public testing::Test
{
protected:
    static recipes::Recipe recipe() { return parse_recipe(std::string(text) + packages_step, "plan.toml"); }
    static LockFile lock(const std::string& nginx)
    {
        return {.inputs = {},
                .layers = {{"bootstrap", {{"libc6", "2.36", "amd64", digest_of("libc6"), ""}}},
                           {"step 3", {{"nginx", nginx, "amd64", digest_of("nginx"), ""}}}}};
    }
    static std::vector<PlannedLayer> plan(const LockFile& lock) { return plan_layers(recipe(), std::nullopt, &lock); }

    static constexpr const char* packages_step = "[[step]]\npackages = [\"nginx\"]\n";
};

TEST_F(LockedPlan, VersionsAreInputsAndPlacesAreNot)
{
    const auto before = plan(lock("1"));
    EXPECT_EQ("ssssss", compared(before, plan(lock("1"))));
    EXPECT_EQ("ssssxx", compared(before, plan(lock("2"))));
    EXPECT_EQ("xxxxxx", compared(before, plan_layers(recipe(), std::nullopt)));
    LockFile moved = lock("1");
    moved.layers[1].packages[0].uri = "http://elsewhere/";
    EXPECT_EQ("ssssss", compared(before, plan(moved)));
    moved.layers[1].packages[0].sha256 = digest_of("other");
    EXPECT_EQ("ssssxx", compared(before, plan(moved)));
}

TEST_F(LockedPlan, KnowsTheIdsWithoutALock)
{
    const auto without = plan_layers(recipe(), std::nullopt);
    const auto locked = plan(lock("1"));
    for (std::size_t i = 0; i < locked.size(); ++i) {
        EXPECT_EQ(without.at(i).id, locked.at(i).id_without_lock) << i;
        EXPECT_EQ(std::nullopt, without.at(i).id_without_lock);
    }
    EXPECT_EQ("step 3", locked.at(4).lock_name);
    EXPECT_EQ("nginx", locked.at(4).locked.value().packages.at(0).name);
    EXPECT_EQ("", locked.at(3).lock_name);
}

TEST_F(LockedPlan, TakesALayerWithoutALockWhenItsPackagesAreTheLockedOnes)
{
    const auto wanted = wanted_layers(plan(lock("1")));
    const auto record = [](const Json& facts) {
        return LayerRecord{
            .id = digest_of("x"), .instance = "", .below = "", .title = "", .inputs = {}, .facts = facts, .took = {}};
    };
    const Json same = {{"packages", to_json(lock("1").layers[1].packages)}};
    EXPECT_EQ(2U, wanted.at(4).ids.size());
    EXPECT_TRUE(wanted.at(4).fits(record(same)));
    EXPECT_FALSE(wanted.at(4).fits(record({{"packages", to_json(lock("2").layers[1].packages)}})));
    EXPECT_FALSE(wanted.at(4).fits(record(Json::object())));
    EXPECT_FALSE(wanted.at(3).fits);
}

TEST_F(LockedPlan, ARecipeThatIsNotTheLockedOneIsRefused)
{
    LockFile other = lock("1");
    other.layers[1].step = "step 2";
    other.inputs.insert_or_assign("files/motd", digest_of("motd"));
    try {
        static_cast<void>(plan(other));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::package, error.kind());
        EXPECT_STREQ("the build is not what its lock file says:\n"
                     "  files/motd is locked, the recipe does not use it\n"
                     "  step 2 is locked, the recipe installs no packages there\n"
                     "  step 3 installs packages and is not locked",
                     error.what());
    }
}

TEST_F(LockedPlan, PackagesOverAnAmiHaveALockOfTheirOwn)
{
    auto over = recipe();
    over.base = recipes::AmiBase{.name = "web", .version = {}, .reference = "web"};
    over.volumes.clear();
    const auto layers = plan_layers(over, digest_of("one"));
    EXPECT_EQ("packages", layers.at(0).lock_name);
    LockFile lock{.inputs = locked_inputs(over, digest_of("one")), .layers = {{"packages", {}}, {"step 3", {}}}};
    EXPECT_NO_THROW(static_cast<void>(plan_layers(over, digest_of("one"), &lock)));
    EXPECT_THROW(static_cast<void>(plan_layers(over, digest_of("two"), &lock)), Error);
}

} // namespace
} // namespace kiln::builder
