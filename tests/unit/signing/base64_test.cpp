// SPDX-License-Identifier: Apache-2.0
#include "signing/base64.h"

#include <gtest/gtest.h>

namespace kiln::signing
{
namespace
{

TEST(Base64, HasTheVectorsOfRfc4648)
{
    const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"},
                                                                   {"\xfb\xff\xfe", "+//+"}};
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(text, base64(bytes));
        EXPECT_EQ(bytes, parse_base64(text));
    }
}

TEST(Base64, ReadsUrlSafeAndUnpadded)
{
    EXPECT_EQ("\xfb\xff\xfe", parse_base64("-__-"));
    EXPECT_EQ("fo", parse_base64("Zm8"));
    EXPECT_EQ("f", parse_base64("Zg"));
    EXPECT_EQ(std::string(1, '\0'), parse_base64("AA=="));
}

TEST(Base64, RefusesGarbage)
{
    for (const char* bad : {"A", "Zg=", "Zg===", "=", "====", "Zm9v====", "Z=g=", "Zm9v\n", " Zm9v", "Zm 9v", "-_+/",
                            "Zm9*", "Zh==", "Zm9=", "Zm8=Zm8=", "Zm9v=", "\xc3\xa9Zg"}) {
        EXPECT_EQ(std::nullopt, parse_base64(bad)) << bad;
    }
}

} // namespace
} // namespace kiln::signing
