// SPDX-License-Identifier: Apache-2.0
// An image goes to another region: a new id, the same content, its origin told by the event that registers it.
#include "tests/unit/registry/region_fixture.h"

#include <sys/stat.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;

class CopyTest : public test::RegionTest
{
protected:
    const std::string sbom = R"({"spdxVersion":"SPDX-2.3","packages":[]})";
    const std::string stranger = "999999999999";
    const signing::SecretKey strange_key = signing::SecretKey::generate();
    const fs::path other_folder = temporary.path() / "regions" / "eu-west";
    Region other{other_folder, "eu-west"};
    Image image =
        region.publish(test::manifest_to_publish("web", {1, 0, 0}), {{"/dev/vda", layer(std::string(5000, '.'))}}, key,
                       {{std::string(bundle::sbom_artifact_type), sbom}});

    CopyTest() { trust.trust(stranger, strange_key.public_key()); }
    Image copy_as(const std::string& account, const signing::SecretKey& with)
    {
        return other.copy_from(region, verify(region, image, trust, account), {.account = account, .key = with});
    }
};

TEST_F(CopyTest, HasANewIdTheSameManifestAndItsOrigin)
{
    const Image copy = copy_as(test::owner, key);
    EXPECT_NE(image.id, copy.id);
    EXPECT_EQ(image.manifest, copy.manifest);
    EXPECT_EQ(image.created, copy.created);
    EXPECT_EQ(image.stored_size, copy.stored_size);
    EXPECT_NO_THROW(static_cast<void>(verify(other, copy, trust, test::owner)));
    EXPECT_EQ(parse_json(sbom, "x"), other.attachment(copy, bundle::sbom_artifact_type, trust));
    const auto events = other.history(copy, trust);
    ASSERT_EQ(1U, events.size());
    EXPECT_EQ("copy", events[0].action);
    EXPECT_EQ("eu-west", events[0].region);
    EXPECT_EQ((Json{{"region", "local"}, {"image", image.id}}), events[0].arguments["from"]);
    EXPECT_EQ(copy.id, other.resolve("web").id);
    EXPECT_TRUE(fs::is_empty(other_folder / "staging"));
}

TEST_F(CopyTest, LayersAreHardLinks)
{
    copy_as(test::owner, key);
    const Digest digest = region.load_manifest(image).block_devices[0].layers[0].digest;
    struct stat here {
    };
    struct stat there {
    };
    ASSERT_EQ(0, ::stat(region.layout().blob_path(digest).c_str(), &here));
    ASSERT_EQ(0, ::stat(other.layout().blob_path(digest).c_str(), &there));
    EXPECT_EQ(here.st_ino, there.st_ino);
    EXPECT_EQ(0444U, there.st_mode & 07777U);
}

TEST_F(CopyTest, BelongsToWhoMadeItAndIsPrivateAtFirst)
{
    EXPECT_EQ(ErrorKind::permission_denied, error_of([&] { copy_as(stranger, strange_key); }).kind());
    EXPECT_TRUE(other.images().empty());
    change(image, share_with({.everyone = true, .accounts = {"111111111111"}}));
    const Image copy = copy_as(stranger, strange_key);
    EXPECT_EQ(stranger, copy.holder);
    EXPECT_EQ(test::owner, copy.owner); // whose signature it carries
    EXPECT_FALSE(copy.launch_public);
    EXPECT_NO_THROW(static_cast<void>(verify(other, copy, trust, stranger)));
    for (const char* account : {test::owner, "111111111111"}) {
        EXPECT_EQ(ErrorKind::permission_denied,
                  error_of([&] { static_cast<void>(verify(other, copy, trust, account)); }).kind());
    }
    EXPECT_EQ(ErrorKind::permission_denied,
              error_of([&] { other.change(copy, disable(), {.account = test::owner, .key = key}, trust); }).kind());
    other.change(copy, share_with({.accounts = {test::owner}}), {.account = stranger, .key = strange_key}, trust);
    EXPECT_NO_THROW(static_cast<void>(verify(other, copy, trust, test::owner)));
}

TEST_F(CopyTest, ATakenVersionOrTheSameRegionIsTold)
{
    copy_as(test::owner, key);
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { copy_as(test::owner, key); }).kind());
    EXPECT_EQ(1U, other.images().size());
    const Error same = error_of([&] {
        region.copy_from(region, verify(region, image, trust, test::owner), {.account = test::owner, .key = key});
    });
    EXPECT_EQ(ErrorKind::usage, same.kind());
    EXPECT_EQ(image.id + " is in region local already", same.message());
}

TEST_F(CopyTest, ABlobThatChangesOnTheWayIsFound)
{
    const VerifiedImage verified = verify(region, image, trust, test::owner);
    const Digest digest = region.load_manifest(image).block_devices[0].layers[0].digest;
    overwrite(region.layout().blob_path(digest), "something else");
    const Error error = error_of([&] { other.copy_from(region, verified, {.account = test::owner, .key = key}); });
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), testing::HasSubstr("changed while it was copied"));
    EXPECT_TRUE(other.images().empty());
}

TEST_F(CopyTest, WhatIsRefusedThereIsNotCopied)
{
    change(image, disable());
    EXPECT_EQ(ErrorKind::permission_denied, error_of([&] { copy_as(test::owner, key); }).kind());
    EXPECT_TRUE(other.images().empty());
}

} // namespace
} // namespace kiln::registry
