// SPDX-License-Identifier: Apache-2.0
#include "core/random.h"
#include "tests/unit/registry/region_fixture.h"

#include <sys/stat.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;
using test::manifest_to_publish;
using ::testing::HasSubstr;

class PublishTest : public test::RegionTest
{
};

TEST_F(PublishTest, WhatIsPublishedIsListedFoundAndVerified)
{
    const Image image = publish("debian-12", {1, 0, 0});
    EXPECT_TRUE(is_resource_id("ami-", image.id));
    EXPECT_EQ("debian-12", image.name);
    EXPECT_EQ(test::owner, image.owner);
    EXPECT_EQ(gibibytes(2), image.virtual_size);
    EXPECT_EQ(ByteSize(1536 + 5014), image.stored_size);
    EXPECT_EQ(digest_of("recipe"), image.recipe);
    EXPECT_EQ(ImageState::available, image.state);
    EXPECT_FALSE(image.launch_public);

    const Region again(folder, "local"); // another process would see the same
    const auto images = again.images();
    ASSERT_EQ(1U, images.size());
    EXPECT_EQ(image.id, images[0].id);
    EXPECT_EQ(image.manifest, images[0].manifest);
    EXPECT_EQ(image.created, images[0].created);
    EXPECT_EQ(image.description, images[0].description);
    EXPECT_EQ(image.recipe, images[0].recipe);
    EXPECT_EQ(image.stored_size, images[0].stored_size);
    EXPECT_EQ(image.virtual_size, images[0].virtual_size);

    const VerifiedImage verified = verify(again, image, trust, test::owner);
    EXPECT_EQ(image.id, verified.image().id);
    EXPECT_EQ("local", verified.region());
    ASSERT_EQ(1U, verified.manifest().block_devices.size());
    const auto paths = verified.layer_paths(verified.manifest().block_devices[0]);
    ASSERT_EQ(1U, paths.size());
    EXPECT_TRUE(paths[0].is_absolute());
    EXPECT_EQ(1536U + 5014U, fs::file_size(paths[0]));
    EXPECT_EQ(to_json(verified.manifest()), to_json(again.load_manifest(image)));
}

TEST_F(PublishTest, BlobsAreReadOnlyAndNothingElseIsLeft)
{
    const fs::path file = layer("disk");
    region.publish(manifest_to_publish("web", {1, 0, 0}), {{"/dev/vda", file}}, key);
    EXPECT_FALSE(fs::exists(file));
    for (const fs::path& blob : blobs()) {
        struct stat status {
        };
        ASSERT_EQ(0, ::stat(blob.c_str(), &status));
        EXPECT_EQ(0444U, status.st_mode & 07777U);
        EXPECT_EQ(blob.filename(), digest_of_file(blob).hex());
    }
    EXPECT_EQ(6U, blobs().size()); // layer, manifest, OCI manifest, "{}", envelope, signature manifest
    EXPECT_TRUE(fs::is_empty(folder / "staging"));
}

TEST_F(PublishTest, TheIndexNamesTheImageForOtherTools)
{
    const Image image = publish("web", {1, 0, 0});
    const Json manifests = index()["manifests"];
    ASSERT_EQ(2U, manifests.size());
    EXPECT_EQ(image.manifest.to_string(), manifests[0]["digest"]);
    EXPECT_EQ("web-1.0.0-x86_64", manifests[0]["annotations"]["org.opencontainers.image.ref.name"]);
    EXPECT_EQ("application/vnd.kiln.signature.v1+json", manifests[1]["artifactType"]);
}

TEST_F(PublishTest, ASnapshotStoresOnlyItsDifference)
{
    const Image parent = publish("debian-12", {1, 0, 0});
    bundle::Manifest manifest = region.load_manifest(parent);
    manifest.name = "debian-12-kept";
    manifest.parent = bundle::Parent{parent.name, parent.version, parent.manifest};
    manifest.source = {"instance", digest_of("recipe"), "i-0123456789abcdef0", "filesystem"};
    const Image child = region.publish(manifest, {{"/dev/vda", layer("difference")}}, key);
    const VerifiedImage verified = verify(region, child, trust, test::owner);
    const auto paths = verified.layer_paths(verified.manifest().block_devices[0]);
    ASSERT_EQ(2U, paths.size());
    EXPECT_EQ(manifest.block_devices[0].layers[0].digest.hex(), paths[0].filename());
    EXPECT_EQ(test::made_qcow2("difference"), read_file(paths[1]));
    EXPECT_EQ(parent.stored_size + ByteSize(1536 + 10), child.stored_size);
}

TEST_F(PublishTest, AParentLayerMustBeThere)
{
    bundle::Manifest manifest = manifest_to_publish("web", {1, 0, 0});
    manifest.block_devices[0].layers = {{digest_of("absent"), ByteSize(10)}};
    const fs::path file = layer("difference");
    const Error error = error_of([&] { region.publish(manifest, {{"/dev/vda", file}}, key); });
    EXPECT_EQ(ErrorKind::not_found, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("its parent's layer"));
    EXPECT_TRUE(fs::exists(file));
    EXPECT_TRUE(region.images().empty());
}

TEST_F(PublishTest, Attack26ATakenNameIsAConflictAndChangesNothing)
{
    const Image first = publish("web", {1, 0, 0});
    const std::string catalogue = read_file(folder / "catalogue.sqlite");
    const Json before = index();
    const fs::path file = layer("other content");
    const Error error = error_of([&] {
        region.publish(manifest_to_publish("web", {1, 0, 0}), {{"/dev/vda", file}}, key);
    });
    EXPECT_EQ(ErrorKind::conflict, error.kind());
    EXPECT_EQ("web 1.0.0 (x86_64) is already in region local as " + first.id, error.message());
    EXPECT_FALSE(error.hint().empty());
    EXPECT_EQ(catalogue, read_file(folder / "catalogue.sqlite"));
    EXPECT_EQ(before, index());
    EXPECT_TRUE(fs::exists(file)); // the caller can publish it under another version
}

TEST_F(PublishTest, TheSameNameForAnotherArchitectureIsFree)
{
    publish("web", {1, 0, 0});
    bundle::Manifest manifest = manifest_to_publish("web", {1, 0, 0});
    manifest.architecture = "aarch64";
    EXPECT_NO_THROW(region.publish(manifest, {{"/dev/vda", layer("arm")}}, key));
    EXPECT_TRUE(region.find("web", {1, 0, 0}, "aarch64"));
    EXPECT_FALSE(region.find("web", {1, 0, 1}, "aarch64"));
    EXPECT_EQ("x86_64", region.resolve("web").architecture);
}

TEST_F(PublishTest, AHostileManifestIsRefusedBeforeAnythingMoves)
{
    const std::vector<std::function<void(bundle::Manifest&)>> changes{
        [](auto& manifest) { manifest.name = "../../x"; },
        [](auto& manifest) { manifest.software[0].version = "1\x1b[31m"; },
        [](auto& manifest) { manifest.owner = "me"; },
        [](auto& manifest) { manifest.block_devices[0].size = ByteSize(100); },
        [](auto& manifest) { manifest.created = "now"; },
    };
    for (const auto& change : changes) {
        bundle::Manifest manifest = manifest_to_publish("web", {1, 0, 0});
        change(manifest);
        const fs::path file = layer("disk");
        const Error error = error_of([&] { region.publish(manifest, {{"/dev/vda", file}}, key); });
        EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
        EXPECT_THAT(error.what(), ::testing::StartsWith("publishing "));
        EXPECT_TRUE(fs::exists(file));
    }
    EXPECT_TRUE(region.images().empty());
    EXPECT_TRUE(blobs().empty());
}

TEST_F(PublishTest, BadLayerFilesAreRefused)
{
    const fs::path target = layer("secret");
    fs::create_symlink(target, temporary.path() / "link");
    const bundle::Manifest manifest = manifest_to_publish("web", {1, 0, 0});
    EXPECT_EQ(ErrorKind::io, error_of([&] { region.publish(manifest, {{"/dev/vda", layer("")}}, key); }).kind());
    EXPECT_EQ(ErrorKind::io, error_of([&] {
                                 region.publish(manifest, {{"/dev/vda", temporary.path() / "link"}}, key);
                             }).kind());
    EXPECT_EQ(ErrorKind::io, error_of([&] { region.publish(manifest, {{"/dev/vda", "/nonexistent"}}, key); }).kind());
    EXPECT_EQ(ErrorKind::internal, error_of([&] { region.publish(manifest, {{"/dev/vdq", target}}, key); }).kind());
    EXPECT_EQ(ErrorKind::untrusted, error_of([&] { region.publish(manifest, {}, key); }).kind()); // no layer at all
    EXPECT_TRUE(blobs().empty());
}

TEST_F(PublishTest, AMissingRowIsAnImageThatNeverWas)
{
    const Image first = publish("web", {1, 0, 0}); // as after a kill between the index and the row
    sql("DELETE FROM images");
    EXPECT_TRUE(region.images().empty());
    const Image second = publish("web", {1, 0, 0});
    EXPECT_EQ(first.manifest, second.manifest);
    EXPECT_EQ("verified", verdict(second).message());
    sql("DELETE FROM images");
    bundle::Manifest rebuilt = manifest_to_publish("web", {1, 0, 0});
    rebuilt.created = "2026-12-24T00:00:00Z";
    const Image third = region.publish(rebuilt, {{"/dev/vda", layer("rebuilt")}}, key);
    EXPECT_EQ("verified", verdict(third).message());
    const Json manifests = index()["manifests"];
    int named = 0;
    for (const Json& entry : manifests) {
        named += entry["annotations"].contains("org.opencontainers.image.ref.name") ? 1 : 0;
    }
    EXPECT_EQ(1, named);
}

TEST_F(PublishTest, ListsNewestFirst)
{
    const auto at = [&](const char* name, const SemanticVersion& version, const char* created) {
        bundle::Manifest manifest = manifest_to_publish(name, version);
        manifest.created = created;
        region.publish(manifest, {{"/dev/vda", layer(name + version.to_string())}}, key);
    };
    at("one", {1, 9, 0}, "2026-01-01T00:00:00Z");
    at("one", {1, 10, 0}, "2026-01-01T00:00:00Z");
    at("two", {0, 0, 1}, "2026-06-01T00:00:00Z");
    at("old", {9, 0, 0}, "2025-01-01T00:00:00Z");
    std::vector<std::string> order;
    for (const Image& image : region.images()) {
        order.push_back(image.name + " " + image.version.to_string());
    }
    EXPECT_EQ((std::vector<std::string>{"two 0.0.1", "one 1.10.0", "one 1.9.0", "old 9.0.0"}), order);
}

TEST_F(PublishTest, IdsAreDifferentInEachRegion)
{
    Region other(temporary.path() / "regions" / "other", "other");
    const Image here = publish("web", {1, 0, 0});
    const Image there = other.publish(manifest_to_publish("web", {1, 0, 0}),
                                      {{"/dev/vda", layer("web1.0.0" + std::string(5000, '.'))}}, key);
    EXPECT_EQ(here.manifest, there.manifest);
    EXPECT_NE(here.id, there.id);
}

} // namespace
} // namespace kiln::registry
