// SPDX-License-Identifier: Apache-2.0
#include "builder/seal.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

TEST(LaunchKeys, OnlyTheOnesOfALaunchGo)
{
    EXPECT_EQ(without_launch_keys("ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0\n"
                                  "ssh-ed25519 BBBB alice@example\n"
                                  "ssh-ed25519 CCCC kiln-launch-key i-0123456789abcdef1"),
              "ssh-ed25519 BBBB alice@example\n");
    EXPECT_EQ(without_launch_keys(""), "");
    EXPECT_EQ(without_launch_keys("\n"), "\n");
}

TEST(SealFate, WhatIsKeptStaysWithAllBelowIt)
{
    const std::vector<std::string> kept = {"/var/lib/cloud/data/id", "/root/.cache"};
    EXPECT_EQ(fate_of("/root/.cache", kept), SealFate::keep);
    EXPECT_EQ(fate_of("/root/.cache/pip/x", kept), SealFate::keep);
    EXPECT_EQ(fate_of("/root/.cache2", kept), SealFate::remove);
    EXPECT_EQ(fate_of("/root", kept), SealFate::look_inside);
    EXPECT_EQ(fate_of("/var/lib/cloud/data", kept), SealFate::look_inside);
    EXPECT_EQ(fate_of("/var/lib/cloud/data/identity", kept), SealFate::remove);
    EXPECT_EQ(fate_of("/var/lib/cloud/data", {}), SealFate::remove);
}

TEST(Homes, AreThoseOfPeopleAndServicesNotOfTheSystem)
{
    EXPECT_EQ(homes_pattern(""), "/{home/*,root}");
    EXPECT_EQ(homes_pattern("root:x:0:0::/root:/bin/sh\n"
                            "bin:x:2:2::/bin:/bin/sh\n"
                            "sync:x:3:3::/:/bin/sh\n"
                            "sshd:x:4:4::/run/sshd:/bin/sh\n"
                            "alice:x:1000:1000::/home/alice:/bin/sh\n"
                            "up:x:1001:1001::/srv/../etc:/bin/sh\n"
                            "odd:x:1002:1002::/srv/a,b*:/bin/sh\n"
                            "postgres:x:105:105::/var/lib/postgresql:/bin/sh\n"),
              "/{home/*,root,srv/a\\,b\\*,var/lib/postgresql}");
}

} // namespace
} // namespace kiln::builder
