// SPDX-License-Identifier: Apache-2.0
// Which images a lifecycle policy finds due, and which it leaves alone whatever it says.
#include "registry/upkeep/lifecycle_policy.h"

#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::chrono::sys_days built = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23); // sample_manifest()

class LifecyclePolicyTest : public test::RegionTest
{
protected:
    LifecycleView view{.account = test::owner, .instances = {}, .now = built + std::chrono::days(100)};

    std::vector<LifecycleStep> plan(std::vector<LifecycleRule> rules) const
    {
        return plan_lifecycle(region, {.name = "policy", .rules = std::move(rules)}, view);
    }
    // "1.0.0 deprecate", with " kept" behind it for a protected one.
    std::vector<std::string> told(std::vector<LifecycleRule> rules) const
    {
        std::vector<std::string> lines;
        for (const LifecycleStep& step : plan(std::move(rules))) {
            lines.push_back(step.image.name + " " + step.image.version.to_string() + " " + step.action +
                            (step.protection.empty() ? "" : " kept"));
        }
        return lines;
    }
    static LifecycleRule keep(std::size_t count, std::string action = "deprecate")
    {
        return {.action = std::move(action), .names = {"web"}, .keep = count, .older_than = {}};
    }
};

TEST_F(LifecyclePolicyTest, KeepsTheHighestVersionsOfEachName)
{
    for (unsigned minor = 0; minor < 4; ++minor) {
        publish("web", {1, minor, 0});
    }
    publish("web-front", {1, 0, 0});
    EXPECT_THAT(told({keep(2)}), ElementsAre("web 1.0.0 deprecate", "web 1.1.0 deprecate"));
    EXPECT_THAT(told({keep(4)}), IsEmpty());
    LifecycleRule all = keep(1);
    all.names = {"web*"};
    EXPECT_EQ(3U, plan({all}).size()); // each name has a highest of its own
    EXPECT_EQ("3 higher versions", plan({keep(2)})[0].reason);
}

TEST_F(LifecyclePolicyTest, AgeAndNumberBothHaveToBeReached)
{
    publish("web", {1, 0, 0});
    publish("web", {1, 1, 0});
    LifecycleRule rule{.action = "disable", .names = {"web"}, .keep = {}, .older_than = std::chrono::days(90)};
    EXPECT_THAT(told({rule}), ElementsAre("web 1.0.0 disable", "web 1.1.0 disable"));
    rule.keep = 1;
    EXPECT_THAT(told({rule}), ElementsAre("web 1.0.0 disable"));
    rule.older_than = std::chrono::days(200);
    EXPECT_THAT(told({rule}), IsEmpty());
}

TEST_F(LifecyclePolicyTest, TheRuleThatGoesFurthestCountsAndNothingIsDoneTwice)
{
    const Image oldest = publish("web", {1, 0, 0});
    publish("web", {1, 1, 0});
    publish("web", {1, 2, 0});
    EXPECT_THAT(told({keep(1), keep(2, "deregister")}), ElementsAre("web 1.0.0 deregister", "web 1.1.0 deprecate"));
    EXPECT_EQ(2U, plan({keep(1), keep(2, "deregister")})[0].rule);
    for (const LifecycleStep& step : plan({keep(1)})) {
        change(step.image, change_of(step));
    }
    EXPECT_EQ(ImageState::deprecated, region.find_id(oldest.id)->state);
    EXPECT_THAT(told({keep(1)}), IsEmpty());
    EXPECT_THAT(told({keep(1, "disable")}), ElementsAre("web 1.0.0 disable", "web 1.1.0 disable"));
}

TEST_F(LifecyclePolicyTest, LeavesAloneWhatIsInUseAParentOrInAChannel)
{
    const Image used = publish("web", {1, 0, 0});
    const Image parent = publish("web", {1, 1, 0});
    const Image named = publish("web", {1, 2, 0});
    publish("web", {1, 3, 0});
    view.instances[used.id] = {"i-00000000000000001"};
    bundle::Manifest child = region.load_manifest(parent);
    child.name = "child";
    child.parent = bundle::Parent{parent.name, parent.version, parent.manifest};
    const Image made = region.publish(child, {{"/dev/vda", layer("difference")}}, key);
    change(named, take_channel("web", "stable"));
    const auto steps = plan({keep(1, "deregister")});
    ASSERT_EQ(3U, steps.size());
    EXPECT_EQ("in use by i-00000000000000001", steps[0].protection);
    EXPECT_EQ("the parent of " + made.id, steps[1].protection);
    EXPECT_EQ("the channel stable names it", steps[2].protection);
    change(made, deregister());
    EXPECT_EQ("", plan({keep(1, "deregister")})[1].protection);
}

TEST_F(LifecyclePolicyTest, ExcludesWhatItIsToldToAndWhatOthersHold)
{
    bundle::Manifest tagged = test::manifest_to_publish("web", {1, 0, 0});
    tagged.tags = {{"keep", "yes"}};
    region.publish(tagged, {{"/dev/vda", layer("one")}}, key);
    change(publish("web", {1, 1, 0}), share_with({.everyone = true}));
    change(publish("web", {1, 2, 0}), share_with({.accounts = {"111111111111"}}));
    publish("web", {2, 0, 0});
    LifecycleRule rule = keep(1);
    EXPECT_EQ(3U, plan({rule}).size());
    rule.exclude_tags = {{"keep", "no"}};
    EXPECT_EQ(3U, plan({rule}).size());
    rule.exclude_tags = {{"keep", "yes"}};
    rule.exclude_public = true;
    EXPECT_THAT(told({rule}), ElementsAre("web 1.2.0 deprecate"));
    rule.exclude_shared = true;
    EXPECT_THAT(told({rule}), IsEmpty());
    view.account = "999999999999";
    EXPECT_THAT(told({keep(1)}), IsEmpty());
}

} // namespace
} // namespace kiln::registry
