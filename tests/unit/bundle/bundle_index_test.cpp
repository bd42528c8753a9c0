// SPDX-License-Identifier: Apache-2.0
#include "bundle/bundle_index.h"

#include "core/error.h"
#include "tests/support/complaint.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

#include <functional>

namespace kiln::bundle
{
namespace
{

Descriptor manifest_of(char digit, std::uint64_t size)
{
    return {std::string(oci_manifest_type), *Digest::parse("sha256:" + std::string(64, digit)), ByteSize(size)};
}

BundleContents contents()
{
    return {.image = manifest_of('a', 700),
            .attached = {{std::string(signature_artifact_type), manifest_of('b', 600)},
                         {std::string(sbom_artifact_type), manifest_of('c', 500)}},
            .documents = {},
            .layers = {}};
}

std::string complaint(const std::function<void(Json&)>& change)
{
    Json json = parse_json(bundle_index(contents(), "web-1.0.0-x86_64"), "x");
    change(json);
    return test::complaint_of([&] { static_cast<void>(parse_bundle_index(json.dump())); });
}

TEST(BundleIndex, IsItsGoldenFile)
{
    test::expect_golden("bundle/bundle-index.json", bundle_index(contents(), "web-1.0.0-x86_64") + "\n");
}

TEST(BundleIndex, IsReadAsItWasWritten)
{
    const BundleIndex index = parse_bundle_index(bundle_index(contents(), "web-1.0.0-x86_64"));
    EXPECT_EQ(contents().image.digest, index.image.digest);
    ASSERT_EQ(2U, index.attached.size());
    EXPECT_EQ(sbom_artifact_type, index.attached[1].artifact_type);
    EXPECT_EQ(ByteSize(500), index.attached[1].manifest.size);
}

TEST(BundleIndex, HoldsOneImageAndWhatKilnAttaches)
{
    EXPECT_EQ("index.json: manifests: names no image", complaint([](Json& json) { json["manifests"].erase(0); }));
    EXPECT_EQ("index.json: manifests: names more than one image",
              complaint([](Json& json) { json["manifests"].push_back(json["manifests"][0]); }));
    EXPECT_EQ(
        "index.json: manifests[1].artifactType: is nothing that this version of Kiln knows; was it made by a newer "
        "one?",
        complaint([](Json& json) { json["manifests"][1]["artifactType"] = "application/x"; }));
    EXPECT_EQ("index.json: manifests[0].mediaType: is not application/vnd.oci.image.manifest.v1+json",
              complaint([](Json& json) { json["manifests"][0]["mediaType"] = "application/x"; }));
    EXPECT_THAT(complaint([](Json& json) { json["manifests"][0]["size"] = 0; }),
                ::testing::StartsWith("index.json: manifests[0].size: "));
    EXPECT_THAT(complaint([](Json& json) { json["manifests"][0]["size"] = (16 << 20) + 1; }),
                ::testing::StartsWith("index.json: manifests[0].size: "));
    EXPECT_THAT(complaint([](Json& json) { json["manifests"][0]["platform"] = "x"; }),
                ::testing::StartsWith("index.json: manifests[0].platform: "));
    EXPECT_THAT(complaint([](Json& json) { json["manifests"] = Json(std::vector<int>(66)); }),
                ::testing::StartsWith("index.json: manifests: "));
    EXPECT_THAT(complaint([](Json& json) { json["manifests"][0]["digest"] = "sha256:../../x"; }),
                ::testing::StartsWith("index.json: manifests[0].digest: "));
}

TEST(BundleIndex, TheLayoutFileHasAVersion)
{
    EXPECT_NO_THROW(require_bundle_layout(oci_layout_file));
    for (const char* bad : {"", "{}", R"({"imageLayoutVersion":"2.0.0"})", R"({"imageLayoutVersion":"1.0.0","x":1})"}) {
        EXPECT_THROW(require_bundle_layout(bad), Error) << bad;
    }
}

} // namespace
} // namespace kiln::bundle
