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

} // namespace
} // namespace kiln::builder
