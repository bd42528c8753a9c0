// SPDX-License-Identifier: Apache-2.0
#include "builder/guest_accounts.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

TEST(Passwd, UsersAreRead)
{
    EXPECT_EQ(parse_passwd("root:x:0:0:root:/root:/bin/bash\nweb:x:1000:1001:A, B:/srv/web:/bin/sh"),
              (std::vector<GuestUser>{{"root", 0, 0, "/root"}, {"web", 1000, 1001, "/srv/web"}}));
}

TEST(Passwd, HostileLinesAreNoUsers)
{
    EXPECT_TRUE(parse_passwd("").empty());
    EXPECT_TRUE(parse_passwd("\n:x:0:0::/:\nshort:x:1\n").empty());
    EXPECT_TRUE(
        parse_passwd("a:x:-1:0::/:\nb:x:4294967295:0::/:\nc:x:4294967296:0::/:\nd:x:1x:0::/:\ne:x::0::/:\n").empty());
    EXPECT_TRUE(parse_passwd("many:x:1:1::/::extra").empty());
    EXPECT_EQ(parse_passwd("max:x:4294967294:0::/:").at(0).id, 4294967294U);
}

TEST(GroupFile, TheFirstOfTheNameCounts)
{
    EXPECT_EQ(find_group_id("adm:x:4:a,b\nadm:x:5:\n", "adm"), 4U);
    EXPECT_EQ(find_group_id("admin:x:4:\n", "adm"), std::nullopt);
    EXPECT_EQ(find_group_id("adm:x:0x4:\n", "adm"), std::nullopt);
}

} // namespace
} // namespace kiln::builder
