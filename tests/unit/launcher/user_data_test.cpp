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

TEST(UserData, IsToldApartAsCloudInitDoes)
{
    const auto kind = [](std::string_view text) { return name_of(kind_of_user_data(text)); };
    EXPECT_EQ(kind("#!/bin/sh\n"), "script");
    EXPECT_EQ(kind("#cloud-config\npackages: []\n"), "cloud-config");
    EXPECT_EQ(kind("## template: jinja\n#cloud-config\n"), "cloud-config");
    EXPECT_EQ(kind("Content-Type: multipart/mixed; boundary=x\n"), "multipart");
    EXPECT_EQ(kind("MIME-Version: 1.0\ncontent-type: multipart/mixed"), "multipart");
    EXPECT_EQ(kind("\x1f\x8b\x08"), "gzip");
    EXPECT_EQ(kind("#include\nhttp://x/"), "include");
    EXPECT_EQ(kind("#cloud-boothook\n"), "boothook");
    for (const char* text : {"", "hello", " #cloud-config", "\n#!/bin/sh", "{}"}) {
        EXPECT_EQ(kind(text), "other") << text;
    }
}

} // namespace
} // namespace kiln::launcher
