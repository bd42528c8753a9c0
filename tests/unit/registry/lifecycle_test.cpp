// SPDX-License-Identifier: Apache-2.0
// What the holder of an image may do with it, and nobody else.
#include "core/timestamp.h"
#include "registry/lifecycle.h"
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{
using test::error_of;
using ::testing::HasSubstr;

class LifecycleTest : public test::RegionTest
{
protected:
    const std::string stranger = "999999999999";
    const signing::SecretKey strange_key = signing::SecretKey::generate();
    Image image = publish("web", {1, 0, 0});

    std::vector<std::string> actions() const
    {
        std::vector<std::string> actions;
        for (const signing::Event& event : region.history(image, trust)) {
            actions.push_back(std::to_string(event.number) + " " + event.action);
        }
        return actions;
    }
};

TEST_F(LifecycleTest, EveryChangeIsAnEvent)
{
    const Image other = publish("database", {1, 0, 0});
    change(image, share_with({.everyone = true, .accounts = {"222222222222", "111111111111", "222222222222"}}));
    change(image, deprecate_at("2099-01-01T00:00:00Z"));
    change(image, disable());
    image = change(image, enable());
    EXPECT_EQ((std::vector<std::string>{"1 publish", "3 share", "4 deprecate", "5 disable", "6 enable"}), actions());
    EXPECT_EQ((std::vector<std::string>{"111111111111", "222222222222"}), image.launch_accounts);
    EXPECT_TRUE(image.launch_public);
    EXPECT_EQ("2099-01-01T00:00:00Z", image.deprecated_at);
    EXPECT_EQ(ImageState::available, image.state);
    EXPECT_EQ(6, image.last_event);
    EXPECT_EQ("verified", verdict(image).message());
    EXPECT_EQ("verified", verdict(other).message());

    const signing::Event event = region.history(image, trust).at(1);
    EXPECT_EQ(test::owner, event.account);
    EXPECT_EQ("local", event.region);
    EXPECT_EQ(image.id, event.image);
    EXPECT_EQ(image.manifest, event.manifest);
    EXPECT_EQ((Json{{"public", true}, {"accounts", {"111111111111", "222222222222"}}}), event.arguments);
}

TEST_F(LifecycleTest, WhatIsLikeThatAlreadyIsNoEvent)
{
    const auto changes = {enable(), unshare_with({.everyone = true, .accounts = {stranger}}), share_with({}),
                          deprecate_at(std::nullopt), leave_channel("web", "stable")};
    for (const Change& what : changes) {
        EXPECT_FALSE(region.change(image, what, {.account = test::owner, .key = key}, trust).changed) << what.action;
    }
    EXPECT_EQ(1U, actions().size());
    change(image, deprecate_at("2020-01-01T00:00:00Z"));
    EXPECT_FALSE(region.change(image, enable(), {.account = test::owner, .key = key}, trust).changed);
    EXPECT_EQ(2U, actions().size());
}

TEST_F(LifecycleTest, OnlyTheHolderChangesIt)
{
    trust.trust(stranger, strange_key.public_key());
    change(image, share_with({.everyone = true}));
    const Error error =
        error_of([&] { region.change(image, disable(), {.account = stranger, .key = strange_key}, trust); });
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_EQ("account 999999999999 may not change web 1.0.0 (" + image.id + "), which account 123456789012 holds",
              error.message());
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(LifecycleTest, ADeprecatedImageStillLaunches)
{
    image = change(image, deprecate_at(iso_now()));
    EXPECT_EQ(ImageState::deprecated, image.state);
    EXPECT_EQ("verified", verdict(image).message());
    EXPECT_EQ(image.deprecated_at, verify(region, image, trust, test::owner).image().deprecated_at);
    EXPECT_EQ(ImageState::deprecated, verify(region, image, trust, test::owner).image().state);
    image = change(image, deprecate_at("2099-01-01T00:00:00Z"));
    EXPECT_EQ(ImageState::available, image.state);
    image = change(image, deprecate_at(std::nullopt));
    EXPECT_FALSE(image.deprecated_at);
}

TEST_F(LifecycleTest, ADeregisteredImageIsGoneAndItsIdAndVersionStayTaken)
{
    publish("web", {0, 9, 0});
    change(image, deregister());
    const Error gone = error_of([&] { static_cast<void>(region.resolve(image.id)); });
    EXPECT_EQ(ErrorKind::not_found, gone.kind());
    EXPECT_EQ(image.id + " (web 1.0.0) in region local was deregistered", gone.message());
    EXPECT_EQ("0.9.0", region.resolve("web").version.to_string());
    EXPECT_EQ(1U, region.images().size());
    EXPECT_EQ(2U, region.images(Region::Registered::all).size());
    EXPECT_EQ(ErrorKind::not_found,
              error_of([&] { static_cast<void>(verify(region, image, trust, test::owner)); }).kind());
    EXPECT_EQ(ErrorKind::not_found, error_of([&] { change(image, enable()); }).kind());
    const Error taken = error_of([&] { publish("web", {1, 0, 0}); });
    EXPECT_EQ(ErrorKind::conflict, taken.kind());
    EXPECT_EQ("web 1.0.0 (x86_64) was in region local as " + image.id + ", which was deregistered", taken.message());
    // What runs of it can still be told and kept.
    EXPECT_EQ(ImageState::deregistered, region.find_id(image.id)->state);
    EXPECT_EQ("web", region.load_manifest(*region.find_id(image.id)).name);
    EXPECT_EQ("deregister", region.history(image, trust).back().action);
}

TEST_F(LifecycleTest, ALaunchListHasAnEnd)
{
    std::vector<std::string> accounts;
    for (int i = 0; i < 1000; ++i) {
        accounts.push_back(std::to_string(100000000000 + i));
    }
    change(image, share_with({.accounts = accounts}));
    const Error error = error_of([&] { change(image, share_with({.accounts = {stranger}})); });
    EXPECT_EQ(ErrorKind::conflict, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("it would be shared with more than 1000 accounts"));
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(LifecycleTest, Attack43_MalformedAccountsChannelsAndTimesAreRefused)
{
    for (const char* account : {"", "1", "../../x", "-1", "12345678901a", "1234567890123", "\x1b[31m"}) {
        EXPECT_EQ(ErrorKind::usage, error_of([&] { static_cast<void>(share_with({.accounts = {account}})); }).kind());
    }
    for (const char* channel : {"", "../x", "-x", "x-", "Stable", "1.0.0", "1", "x.x.x", "a b", "\x1b[31m",
                                "sta\xd0\xb1le", "abcdefghijklmnopqrstuvwxyzabcdefg"}) {
        EXPECT_EQ(ErrorKind::usage, error_of([&] { static_cast<void>(take_channel("web", channel)); }).kind())
            << channel;
    }
    for (const char* time : {"", "soon", "2026-13-01T00:00:00Z", "2026-11-26"}) {
        EXPECT_EQ(ErrorKind::usage, error_of([&] { static_cast<void>(deprecate_at(time)); }).kind()) << time;
    }
}

TEST_F(LifecycleTest, AnImageIsWhatItsManifestSaysAtFirst)
{
    bundle::Manifest manifest = test::manifest_to_publish("shared", {1, 0, 0});
    manifest.launch.accounts = {"222222222222", "111111111111"};
    manifest.launch.deprecated_on = "2020-02-02";
    const Image shared = region.publish(manifest, {{"/dev/vda", layer("disk")}}, key);
    const Image row = region.resolve(shared.id);
    EXPECT_EQ((std::vector<std::string>{"111111111111", "222222222222"}), row.launch_accounts);
    EXPECT_EQ("2020-02-02T00:00:00Z", row.deprecated_at);
    EXPECT_EQ(ImageState::deprecated, row.state);
    EXPECT_EQ("verified", verdict(row, "111111111111").message());
    change(row, unshare_with({.accounts = {"111111111111"}}));
    EXPECT_EQ(ErrorKind::permission_denied, verdict(row, "111111111111").kind());
    EXPECT_EQ("verified", verdict(row, "222222222222").message());
}

TEST_F(LifecycleTest, WhatComesInAFileBelongsToWhoeverBringsIt)
{
    bundle::Manifest manifest = region.load_manifest(image);
    manifest.launch_public = true;
    Image imported = image;
    start_lifecycle(imported, manifest);
    EXPECT_TRUE(may_launch(imported, "111111111111"));
    apply(imported, {.number = 3,
                     .time = "2026-11-26T00:00:00Z",
                     .account = stranger,
                     .image = image.id,
                     .manifest = image.manifest,
                     .action = std::string(action::import_bundle),
                     .arguments = publish_arguments(image)});
    EXPECT_EQ(stranger, imported.holder);
    EXPECT_TRUE(may_launch(imported, stranger));
    EXPECT_FALSE(may_launch(imported, test::owner));
    EXPECT_EQ(3, imported.last_event);
}

TEST_F(LifecycleTest, AChannelMovesFromOneVersionToTheNext)
{
    const Image next = publish("web", {2, 0, 0});
    const auto named = [&] { return region.resolve("web@stable", trust).version.to_string(); };
    const Error none = error_of([&] { static_cast<void>(named()); });
    EXPECT_EQ(ErrorKind::not_found, none.kind());
    EXPECT_EQ("web has no channel stable in region local", none.message());
    change(image, take_channel("web", "stable"));
    EXPECT_EQ("1.0.0", named());
    change(next, take_channel("web", "stable"));
    EXPECT_EQ("2.0.0", named());
    EXPECT_EQ(std::vector<std::string>(), region.channels_of(image));
    EXPECT_EQ(std::vector<std::string>{"stable"}, region.channels_of(next));
    change(image, take_channel("web", "stable")); // and back again
    EXPECT_EQ("1.0.0", named());
    change(image, deregister());
    EXPECT_THAT(error_of([&] { static_cast<void>(named()); }).message(), HasSubstr("which was deregistered"));
    change(next, take_channel("web", "stable"));
    change(next, leave_channel("web", "stable"));
    EXPECT_EQ(ErrorKind::not_found, error_of([&] { static_cast<void>(named()); }).kind());
    EXPECT_EQ("2.0.0", region.resolve("web@2.x.x", trust).version.to_string());
    EXPECT_EQ("verified", verdict(next).message());
}

TEST_F(LifecycleTest, ADisabledImageGetsNoChannel)
{
    change(image, disable());
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { change(image, take_channel("web", "stable")); }).kind());
}

} // namespace
} // namespace kiln::registry
