// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{
using test::error_of;

class ResolveTest : public test::RegionTest
{
protected:
    ResolveTest()
    {
        for (const SemanticVersion version : {SemanticVersion{1, 2, 9}, {1, 2, 10}, {1, 3, 0}, {2, 0, 0}, {0, 9, 0}}) {
            publish("debian-12", version);
        }
        publish("nginx", {1, 0, 0});
    }
    std::string resolved(const std::string& reference) const
    {
        const Image image = region.resolve(reference);
        return image.name + "@" + image.version.to_string();
    }
    Error refusal(const std::string& reference) const
    {
        return error_of([&] { static_cast<void>(region.resolve(reference)); });
    }
};

TEST_F(ResolveTest, TakesTheHighestVersionThatMatches)
{
    EXPECT_EQ("debian-12@2.0.0", resolved("debian-12"));
    EXPECT_EQ("debian-12@2.0.0", resolved("debian-12@x.x.x"));
    EXPECT_EQ("debian-12@1.3.0", resolved("debian-12@1.x.x"));
    EXPECT_EQ("debian-12@1.2.10", resolved("debian-12@1.2.x"));
    EXPECT_EQ("debian-12@1.2.9", resolved("debian-12@1.2.9"));
    EXPECT_EQ("nginx@1.0.0", resolved("nginx"));
}

TEST_F(ResolveTest, TakesAnId)
{
    for (const Image& image : region.images()) {
        EXPECT_EQ(image.version, region.resolve(image.id).version);
    }
}

TEST_F(ResolveTest, SuggestsANearMiss)
{
    const Error name = refusal("debain-12");
    EXPECT_EQ(ErrorKind::not_found, name.kind());
    EXPECT_EQ("there is no image named debain-12 in region local", name.message());
    EXPECT_EQ("did you mean debian-12?", name.hint());

    std::string id = region.resolve("nginx").id;
    id.back() = id.back() == '0' ? '1' : '0';
    const Error near_id = refusal(id);
    EXPECT_EQ(ErrorKind::not_found, near_id.kind());
    EXPECT_EQ("did you mean " + region.resolve("nginx").id + "?", near_id.hint());

    EXPECT_EQ("`kiln image list` shows what is there", refusal("something-else-altogether").hint());
}

TEST_F(ResolveTest, SaysWhichVersionsThereAre)
{
    const Error error = refusal("debian-12@3.x.x");
    EXPECT_EQ(ErrorKind::not_found, error.kind());
    EXPECT_EQ("debian-12 has no version 3.x.x in region local", error.message());
    EXPECT_EQ("the newest there: 2.0.0, 1.3.0, 1.2.10, 1.2.9, 0.9.0", error.hint());
}

TEST_F(ResolveTest, RefusesMalformedReferences)
{
    for (const char* bad :
         {"", "@", "debian-12@", "debian-12@1", "debian-12@1.2", "debian-12@x.1.0", "debian-12@latest",
          "debian-12@1.2.3@4", "../x", "-x-", "Debian", "ab", "' OR 1=1 --", "a\x1b[31m"}) {
        EXPECT_EQ(ErrorKind::usage, refusal(bad).kind()) << bad;
    }
    EXPECT_EQ("\"a\\x1b[31m\" does not name an image", refusal("a\x1b[31m").message());
}

} // namespace
} // namespace kiln::registry
