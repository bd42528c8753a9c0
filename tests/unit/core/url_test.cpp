// SPDX-License-Identifier: Apache-2.0
#include "core/url.h"

#include <gtest/gtest.h>

namespace kiln
{
namespace
{

TEST(UrlTest, SaysWhoGetsWhatIsSent)
{
    EXPECT_EQ("https://registry.example:443", parse_url("https://Registry.example/v2/")->origin());
    EXPECT_EQ("http://[::1]:5000", parse_url("http://[::1]:5000/")->origin());
    for (const char* text : {"ftp://a/", "file:///etc/passwd", "a/b", "", "https://", "https://user@a/",
                             "https://user:word@a/", "https://a\n/", "https://a b/", "javascript:x"}) {
        EXPECT_FALSE(parse_url(text)) << text;
    }
}

TEST(UrlTest, FollowsALocation)
{
    const Url base = parse_url("http://a:5000/v2/web/").value();
    EXPECT_EQ("http://a:5000/v2/web/blobs/sha256:ab", resolve_url(base, "blobs/sha256:ab")->text);
    EXPECT_EQ("http://a:5000/x?y=1", resolve_url(base, "/x?y=1")->text);
    EXPECT_EQ("https://b/z", resolve_url(base, "https://b/z")->text);
    EXPECT_EQ("b", resolve_url(base, "//b/z")->host);
    EXPECT_FALSE(resolve_url(base, "ftp://b/"));
    EXPECT_FALSE(resolve_url(base, "https://name:word@b/"));
    EXPECT_FALSE(resolve_url(base, ""));
}

TEST(UrlTest, KnowsThisMachineByItsNameOnly)
{
    for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "[::1]"}) {
        EXPECT_TRUE(is_loopback(host)) << host;
    }
    for (const char* host :
         {"localhost.example", "127.0.0.1.example", "128.0.0.1", "10.0.0.1", "[::2]", "0.0.0.0", ""}) {
        EXPECT_FALSE(is_loopback(host)) << host;
    }
}

TEST(UrlTest, Escapes)
{
    EXPECT_EQ("repository%3Aa%2Fb%3Apull%2Cpush", url_escaped("repository:a/b:pull,push"));
}

} // namespace
} // namespace kiln
