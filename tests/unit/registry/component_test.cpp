// SPDX-License-Identifier: Apache-2.0
// Components in a region: what is published stays as it is, and only what its owner signed is read.
#include "signing/attestation.h"
#include "tests/unit/registry/region_fixture.h"

#include <fmt/format.h>

namespace kiln::registry
{
namespace
{

using testing::HasSubstr;

class ComponentTest : public test::RegionTest
{
protected:
    Component publish(const std::string& name, const SemanticVersion& version) { return publish(name, version, key); }
    Component publish(const std::string& name, const SemanticVersion& version, const signing::SecretKey& signer)
    {
        return region.publish_component(
            {.name = name, .version = version, .owner = test::owner, .text = name + version.to_string()}, signer);
    }
    Error refusal(const Component& component) const
    {
        return test::error_of([&] { static_cast<void>(region.component_text(component, trust)); });
    }
    void change_index(const std::string& from, const std::string& to) const
    {
        std::string text = read_file(folder / "index.json");
        const std::size_t at = text.find(from);
        ASSERT_NE(text.npos, at) << text;
        write_file_durably(folder / "index.json", text.replace(at, from.size(), to));
    }
};

TEST_F(ComponentTest, AreListedByNameWithTheHighestVersionFirst)
{
    EXPECT_TRUE(region.components().empty());
    publish("web-server", {1, 9, 0});
    publish("web-server", {1, 10, 0});
    publish("database", {1, 0, 0});
    std::string listed;
    for (const Component& component : Region(folder, "local").components()) {
        listed += fmt::format("{}@{} ", component.name, component.version.to_string());
        EXPECT_EQ(component.name + component.version.to_string(), region.component_text(component, trust));
        EXPECT_EQ(test::owner, component.owner);
        EXPECT_FALSE(component.published.empty());
    }
    EXPECT_EQ("database@1.0.0 web-server@1.10.0 web-server@1.9.0 ", listed);
    EXPECT_TRUE(region.images().empty());
}

TEST_F(ComponentTest, AVersionIsPublishedOnce)
{
    const Component first = publish("web-server", {1, 0, 0});
    const Error error = test::error_of([&] { publish("web-server", {1, 0, 0}); });
    EXPECT_EQ(ErrorKind::conflict, error.kind());
    EXPECT_EQ(first.manifest, region.components().at(0).manifest);
    EXPECT_EQ(1U, region.components().size());
}

TEST_F(ComponentTest, AForeignKeyIsRefused)
{
    const Component component = publish("web-server", {1, 0, 0}, signing::SecretKey::generate());
    EXPECT_EQ(ErrorKind::untrusted, refusal(component).kind());
    EXPECT_THAT(refusal(component).message(), HasSubstr("not signed by a key that is trusted"));
}

TEST_F(ComponentTest, AnotherNameVersionOrOwnerIsNotTheSignedOne)
{
    publish("web-server", {1, 0, 0});
    change_index("\"org.opencontainers.image.version\":\"1.0.0\"", "\"org.opencontainers.image.version\":\"1.0.1\"");
    EXPECT_THAT(refusal(region.components().at(0)).message(), HasSubstr("another name, version or account"));
    change_index("\"org.opencontainers.image.version\":\"1.0.1\"", "\"org.opencontainers.image.version\":\"1.0.0\"");
    EXPECT_NO_THROW(static_cast<void>(region.component_text(region.components().at(0), trust)));
    change_index("\"vnd.kiln.owner\":\"123456789012\"", "\"vnd.kiln.owner\":\"999999999999\"");
    trust.trust("999999999999", signing::SecretKey::generate().public_key());
    EXPECT_EQ(ErrorKind::untrusted, refusal(region.components().at(0)).kind());
}

TEST_F(ComponentTest, AnAttestationOfAnImageIsNoneOfAComponent)
{
    const Component component = publish("web-server", {1, 0, 0}, signing::SecretKey::generate());
    const Digest manifest = component.manifest;
    const std::string envelope = signing::sign_attestation(
        {.subject_name = "web-server@1.0.0",
         .subject = manifest,
         .predicate_type = "https://slsa.dev/provenance/v1",
         .predicate = {{"name", "web-server"}, {"version", "1.0.0"}, {"account", test::owner}}},
        key);
    const auto stored = region.layout().put(envelope, bundle::dsse_type);
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), manifest,
                                     ByteSize(region.layout().read_verified(manifest).size())};
    const auto attached = region.layout().put(
        bundle::attached_oci_manifest(bundle::signature_artifact_type, stored, subject), bundle::oci_manifest_type);
    region.layout().add_to_index(attached, bundle::signature_artifact_type,
                                 {{bundle::subject_annotation, manifest.to_string()}});
    EXPECT_THAT(refusal(component).message(), HasSubstr("its predicate is not of type"));
}

TEST_F(ComponentTest, AChangedTextIsRefused)
{
    const Component component = publish("web-server", {1, 0, 0});
    const auto document = bundle::parse_component_oci_manifest(region.layout().read_verified(component.manifest));
    const auto blob = region.layout().blob_path(document.digest);
    std::filesystem::remove(blob);
    std::ofstream(blob) << "web-server1.0.1";
    EXPECT_EQ(ErrorKind::untrusted, refusal(component).kind());
    std::filesystem::remove(blob);
    EXPECT_EQ(ErrorKind::untrusted, refusal(component).kind());
}

TEST_F(ComponentTest, ADamagedIndexEntryIsSaid)
{
    publish("web-server", {1, 0, 0});
    change_index("\"org.opencontainers.image.title\":\"web-server\"", "\"org.opencontainers.image.title\":\"../x\"");
    EXPECT_EQ(ErrorKind::io, test::error_of([&] { static_cast<void>(region.components()); }).kind());
}

} // namespace
} // namespace kiln::registry
