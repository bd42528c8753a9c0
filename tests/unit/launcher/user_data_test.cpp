// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "launcher/user_data.h"

#include <gtest/gtest.h>

namespace kiln::launcher
{
namespace
{

TEST(UserData, IsLimitedAsOnEc2)
{
    EXPECT_NO_THROW(require_user_data(std::string(16384, 'x')));
    try {
        require_user_data(std::string(16385, 'x'));
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        EXPECT_STREQ(error.what(), "the user data has 16385 bytes; an instance takes up to 16 KiB");
    }
}

} // namespace
} // namespace kiln::launcher
