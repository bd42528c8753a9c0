// SPDX-License-Identifier: Apache-2.0
// SBOM and provenance beside an image: what another key signed, or about another image, is no document.
#include "signing/attestation.h"
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{

class AttachmentTest : public test::RegionTest
{
protected:
    const std::string sbom = R"({"spdxVersion":"SPDX-2.3","packages":[]})";
    const std::string lock = R"({"kiln_lock":1,"inputs":{},"layers":[]})";
    const std::string provenance = R"({"buildDefinition":{"buildType":"x"},"runDetails":{}})";

    Image publish_with_documents(const SemanticVersion& version, const signing::SecretKey& signer)
    {
        return region.publish(test::manifest_to_publish("web", version),
                              {{"/dev/vda", layer("disk" + version.to_string())}}, signer,
                              {{std::string(bundle::sbom_artifact_type), sbom},
                               {std::string(bundle::provenance_artifact_type), provenance},
                               {std::string(bundle::lock_artifact_type), lock}});
    }
    Error refusal(const Image& image, std::string_view type = bundle::sbom_artifact_type) const
    {
        return test::error_of([&] { static_cast<void>(region.attachment(image, type, trust)); });
    }
};

TEST_F(AttachmentTest, ComeBackAndTheImageStaysVerified)
{
    const Image image = publish_with_documents({1, 0, 0}, key);
    EXPECT_EQ(parse_json(sbom, "x"), region.attachment(image, bundle::sbom_artifact_type, trust));
    EXPECT_EQ(parse_json(provenance, "x"), region.attachment(image, bundle::provenance_artifact_type, trust));
    EXPECT_EQ(parse_json(lock, "x"), region.attachment(image, bundle::lock_artifact_type, trust));
    EXPECT_TRUE(decide(region, image, trust, test::owner).passed());
}

TEST_F(AttachmentTest, AnImageWithoutOneSaysSo)
{
    const Image image = publish("web", {1, 0, 0});
    EXPECT_EQ(ErrorKind::not_found, refusal(image).kind());
}

TEST_F(AttachmentTest, AForeignKeyIsRefused)
{
    const Image image = publish_with_documents({1, 0, 0}, signing::SecretKey::generate());
    EXPECT_EQ(ErrorKind::untrusted, refusal(image).kind());
    EXPECT_THAT(refusal(image).message(), testing::HasSubstr("not signed by a key that is trusted"));
}

// A genuine document of one image is attached to another one of the same account.
TEST_F(AttachmentTest, ADocumentCannotBeMovedToAnotherImage)
{
    const Image one = publish_with_documents({1, 0, 0}, key);
    const Image other = publish("web", {2, 0, 0});
    const auto& layout = region.layout();
    const Digest genuine = layout.find_attached(one.manifest, bundle::sbom_artifact_type).at(0);
    const auto parts = bundle::parse_attached_oci_manifest(layout.read_verified(genuine), bundle::sbom_artifact_type);
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), other.manifest,
                                     ByteSize(layout.read_verified(other.manifest).size())};
    const auto moved = layout.put(bundle::attached_oci_manifest(bundle::sbom_artifact_type, parts.envelope, subject),
                                  bundle::oci_manifest_type);
    layout.add_to_index(moved, bundle::sbom_artifact_type, Json::object());
    EXPECT_EQ(ErrorKind::untrusted, refusal(other).kind());
    EXPECT_THAT(refusal(other).message(), testing::HasSubstr("it is about another image"));
}

// The provenance is offered as the SBOM.
TEST_F(AttachmentTest, ADocumentCannotBeTakenForAnotherKind)
{
    const Image image = publish_with_documents({1, 0, 0}, key);
    const auto& layout = region.layout();
    const Digest genuine = layout.find_attached(image.manifest, bundle::provenance_artifact_type).at(0);
    const auto parts =
        bundle::parse_attached_oci_manifest(layout.read_verified(genuine), bundle::provenance_artifact_type);
    Json kept = index();
    std::erase_if(kept["manifests"].get_ref<Json::array_t&>(),
                  [](const Json& entry) { return entry["artifactType"] == bundle::sbom_artifact_type; });
    set_index(kept);
    const auto moved =
        layout.put(bundle::attached_oci_manifest(bundle::sbom_artifact_type, parts.envelope, parts.subject),
                   bundle::oci_manifest_type);
    layout.add_to_index(moved, bundle::sbom_artifact_type, Json::object());
    EXPECT_THAT(refusal(image).message(), testing::HasSubstr("its predicate is not of type https://spdx.dev"));
}

TEST_F(AttachmentTest, AChangedDocumentIsRefused)
{
    const Image image = publish_with_documents({1, 0, 0}, key);
    const auto& layout = region.layout();
    const Digest digest = layout.find_attached(image.manifest, bundle::sbom_artifact_type).at(0);
    const auto parts = bundle::parse_attached_oci_manifest(layout.read_verified(digest), bundle::sbom_artifact_type);
    overwrite(layout.blob_path(parts.envelope.digest), "{}");
    EXPECT_EQ(ErrorKind::untrusted, refusal(image).kind());
}

TEST_F(AttachmentTest, WhatIsNoDocumentIsNotPublished)
{
    for (const Attachment& bad :
         {Attachment{"text/plain", "{}"}, Attachment{std::string(bundle::sbom_artifact_type), "{"}}) {
        EXPECT_THROW(static_cast<void>(region.publish(test::manifest_to_publish("bad", {1, 0, 0}),
                                                      {{"/dev/vda", layer("x")}}, key, {bad})),
                     Error);
    }
    EXPECT_TRUE(region.images().empty());
}

} // namespace
} // namespace kiln::registry
