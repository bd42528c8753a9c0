// SPDX-License-Identifier: Apache-2.0
// Signed results of an image's tests, and a policy that wants them.
#include "registry/test_result.h"
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{

using ::testing::HasSubstr;

class TestResultTest : public test::RegionTest
{
protected:
    Image image = publish("web", {1, 0, 0});

    void want_tests() const
    {
        write_file_durably(trust.folder() / "policy.json",
                           R"({"kiln_policy": 1, "rules": [{"names": ["web"], "accounts": [")" +
                               std::string(test::owner) + R"("], "tests": "passed"}]})");
    }
    // What a launch says; empty when it may.
    std::string refusal(Untested untested = Untested::refuse) const
    {
        try {
            static_cast<void>(verify(region, image, trust, test::owner, {.untested = untested}));
            return {};
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::untrusted);
            return error.message();
        }
    }
};

TEST_F(TestResultTest, TheNewestCounts)
{
    EXPECT_FALSE(newest_test_run(region.layout(), image, trust));
    attach_test_run(region, image, {.finished = "2026-11-26T10:00:00Z", .passed = {"boots"}, .failed = {"http"}}, key);
    attach_test_run(region, image,
                    {.finished = "2026-11-26T11:00:00Z",
                     .passed = {"boots", "http"},
                     .environment = {{"boot_seconds", 21.5}, {"instance_type", "t3.small"}}},
                    key);
    attach_test_run(region, image, {.finished = "2026-11-26T09:00:00Z", .failed = {"boots"}}, key);
    const auto run = newest_test_run(region.layout(), image, trust);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->finished, "2026-11-26T11:00:00Z");
    EXPECT_EQ(run->passed, (std::vector<std::string>{"boots", "http"}));
    EXPECT_TRUE(run->failed.empty());
    EXPECT_EQ(run->environment["boot_seconds"], "21.500");
}

TEST_F(TestResultTest, APolicyThatWantsThemIsHeeded)
{
    EXPECT_EQ(refusal(), ""); // nobody asks
    want_tests();
    EXPECT_THAT(refusal(), HasSubstr("no result is signed by a key of its owner"));
    EXPECT_EQ(refusal(Untested::allow), ""); // the launch that runs them
    attach_test_run(region, image, {.finished = "2026-11-26T10:00:00Z", .passed = {"boots"}}, key);
    EXPECT_EQ(refusal(), "");
    attach_test_run(region, image, {.finished = "2026-11-26T11:00:00Z", .failed = {"boots", "\x1b[2J"}}, key);
    EXPECT_THAT(refusal(), HasSubstr("failed at 2026-11-26T11:00:00Z: boots, \\x1b[2J"));
}

TEST_F(TestResultTest, OnlyTheOwnersKeysCount)
{
    want_tests();
    attach_test_run(region, image, {.finished = "2026-11-26T10:00:00Z", .passed = {"boots"}},
                    signing::SecretKey::generate());
    EXPECT_THAT(refusal(), HasSubstr("no result is signed"));
    // One about another image is none for this one.
    const Image other = publish("web", {1, 0, 1});
    attach_test_run(region, other, {.finished = "2026-11-26T10:00:00Z", .passed = {"boots"}}, key);
    EXPECT_THAT(refusal(), HasSubstr("no result is signed"));
}

} // namespace
} // namespace kiln::registry
