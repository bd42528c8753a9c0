// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "launcher/instance_filter.h"
#include "tests/unit/launcher/fixtures.h"

#include <gtest/gtest.h>

namespace kiln::launcher
{
namespace
{

TEST(InstanceFilter, PatternsHaveStarsAndQuestionMarks)
{
    EXPECT_TRUE(matches_pattern("t3.small", "t3.*"));
    EXPECT_TRUE(matches_pattern("t3.small", "*s?all*"));
    EXPECT_TRUE(matches_pattern("", "*"));
    EXPECT_TRUE(matches_pattern("aab", "*ab"));
    EXPECT_TRUE(matches_pattern("a*b", "a*b"));
    EXPECT_FALSE(matches_pattern("t3.small", "t3"));
    EXPECT_FALSE(matches_pattern("", "?"));
    // No pattern takes for ever.
    EXPECT_FALSE(matches_pattern(std::string(5000, 'a'), "*a*a*a*a*a*a*a*a*a*b"));
}

TEST(InstanceFilter, ValuesAreAlternativesAndFiltersMustAllHold)
{
    Instance instance = small_instance(InstancePaths(paths_in("/home/kiln"), "i-0123456789abcdef0"));
    instance.tags = {{"team", "web"}, {"stage", ""}};
    const auto matches = [&](const std::vector<std::string>& filters) {
        return InstanceFilter(filters).matches(instance);
    };
    EXPECT_TRUE(matches({}));
    EXPECT_TRUE(matches({"state=stopped,running", "tag:team=w*"}));
    EXPECT_FALSE(matches({"state=running", "tag:team=db"}));
    EXPECT_TRUE(matches({"tag:stage="}));
    EXPECT_FALSE(matches({"tag:owner=*"}));
    EXPECT_TRUE(matches({"tag-key=stage,owner"}));
    EXPECT_TRUE(matches({"image=debian-12@1.0.0"}));
    EXPECT_TRUE(matches({"image-id=ami-0123456789abcdef0", "instance-type=t3.small", "name=web"}));
    instance.name.reset();
    EXPECT_FALSE(matches({"name=*"}));
}

TEST(InstanceFilter, TerminatedOnesComeWhenAskedFor)
{
    EXPECT_TRUE(InstanceFilter({"state=terminated"}).asks_for_terminated());
    EXPECT_TRUE(InstanceFilter({"instance-state-name=*"}).asks_for_terminated());
    EXPECT_FALSE(InstanceFilter({"state=running", "tag:state=terminated"}).asks_for_terminated());
}

TEST(InstanceFilter, WhatIsNoneIsRefused)
{
    for (const char* wrong : {"", "state", "colour=red", "tag:=x", "tag:KEY", "state=flying", "=x"}) {
        EXPECT_THROW(InstanceFilter({wrong}), Error) << wrong;
    }
}

} // namespace
} // namespace kiln::launcher
