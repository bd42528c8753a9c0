// SPDX-License-Identifier: Apache-2.0
#include "bundle/oci.h"

#include "core/error.h"
#include "tests/support/complaint.h"
#include "tests/support/golden.h"
#include "tests/unit/bundle/sample_manifest.h"

namespace kiln::bundle
{
namespace
{

const Descriptor config{std::string(ami_artifact_type), digest_of("config"), ByteSize(1234)};
const Descriptor envelope{std::string(dsse_type), digest_of("envelope"), ByteSize(567)};
const Descriptor subject{std::string(oci_manifest_type), digest_of("subject"), ByteSize(890)};

template <typename Parse> std::string complaint_of(Parse parse, const std::string& bytes)
{
    return test::complaint_of([&] { static_cast<void>(parse(bytes)); });
}

AttachedOciManifest parse_signature(std::string_view bytes)
{
    return parse_attached_oci_manifest(bytes, signature_artifact_type);
}

TEST(OciManifest, OfAnAmiIsItsGoldenFile)
{
    const std::string bytes = ami_oci_manifest(test::sample_manifest(), config);
    test::expect_golden("bundle/oci-manifest.json", bytes + "\n");
    const AmiOciManifest parsed = parse_ami_oci_manifest(bytes);
    EXPECT_EQ(config.digest, parsed.config.digest);
    ASSERT_EQ(2U, parsed.layers.size()); // the layer that two devices share is listed once
    EXPECT_EQ(digest_of("base"), parsed.layers[0].digest);
    EXPECT_EQ(digest_of("change"), parsed.layers[1].digest);
    EXPECT_EQ(mebibytes(3), parsed.layers[1].size);
}

TEST(OciManifest, OfASignatureIsItsGoldenFile)
{
    const std::string bytes = attached_oci_manifest(signature_artifact_type, envelope, subject);
    test::expect_golden("bundle/oci-signature.json", bytes + "\n");
    const AttachedOciManifest parsed = parse_attached_oci_manifest(bytes, signature_artifact_type);
    EXPECT_EQ(envelope.digest, parsed.envelope.digest);
    EXPECT_EQ(subject.digest, parsed.subject.digest);
    EXPECT_EQ("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
              parsed.config.digest.to_string());
}

TEST(OciManifest, RefusesWhatIsNotAnAmi)
{
    const Json whole = parse_json(ami_oci_manifest(test::sample_manifest(), config), "test");
    const auto changed = [&](const char* pointer, const Json& value) {
        Json json = whole;
        json[Json::json_pointer(pointer)] = value;
        return complaint_of(parse_ami_oci_manifest, json.dump());
    };
    EXPECT_EQ("OCI manifest: schemaVersion: is not between 2 and 2", changed("/schemaVersion", 1));
    EXPECT_EQ("OCI manifest: artifactType: is not application/vnd.kiln.ami.v1+json", changed("/artifactType", "x"));
    EXPECT_EQ("OCI manifest: config.mediaType: is not application/vnd.kiln.ami.v1+json",
              changed("/config/mediaType", ""));
    EXPECT_EQ("OCI manifest: config.size: is not between 1 and 70368744177664", changed("/config/size", -1));
    EXPECT_EQ("OCI manifest: layers[1].mediaType: is not application/vnd.kiln.disk.layer.v1+qcow2",
              changed("/layers/1/mediaType", "application/octet-stream"));
    EXPECT_EQ("OCI manifest: layers[0].urls: is not a field that this version of Kiln knows",
              changed("/layers/0/urls", Json::array({"http://example.com"})));
    EXPECT_EQ("OCI manifest: subject: is not a field that this version of Kiln knows", changed("/subject", nullptr));
    EXPECT_EQ("OCI manifest: layers: has more than 3328 elements", changed("/layers", Json(std::vector<int>(3329))));
    EXPECT_NE("accepted", complaint_of(parse_ami_oci_manifest, "{"));
    EXPECT_NE("accepted", complaint_of(parse_ami_oci_manifest, R"({"config":1,"config":2})"));
    EXPECT_NE("accepted", complaint_of(parse_ami_oci_manifest, std::string(100'000, '[')));
}

TEST(OciManifest, RefusesWhatIsNotASignature)
{
    const Json whole = parse_json(attached_oci_manifest(signature_artifact_type, envelope, subject), "test");
    Json two = whole;
    two["layers"].push_back(two["layers"][0]);
    EXPECT_EQ("artifact manifest: layers: has more than 1 elements", complaint_of(parse_signature, two.dump()));
    Json other = whole;
    other["config"]["digest"] = digest_of("x").to_string();
    EXPECT_EQ("artifact manifest: config: is not the empty blob", complaint_of(parse_signature, other.dump()));
    Json loose = whole;
    loose.erase("subject");
    EXPECT_EQ("artifact manifest: subject: is missing", complaint_of(parse_signature, loose.dump()));
}

TEST(OciManifest, OfAComponentIsItsGoldenFileAndNothingElse)
{
    const Descriptor document{std::string(component_artifact_type), digest_of("toml"), ByteSize(4)};
    const std::string bytes = component_oci_manifest(document);
    test::expect_golden("bundle/oci-component.json", bytes + "\n");
    EXPECT_EQ(document.digest, parse_component_oci_manifest(bytes).digest);
    const auto refusal = [](const std::string& text) { return complaint_of(parse_component_oci_manifest, text); };
    Json two = parse_json(bytes, "test");
    two["layers"].push_back(two["layers"][0]);
    EXPECT_EQ("component manifest: layers: has more than 1 elements", refusal(two.dump()));
    EXPECT_NE("accepted", refusal(attached_oci_manifest(signature_artifact_type, envelope, subject)));
    EXPECT_NE("accepted", refusal(ami_oci_manifest(test::sample_manifest(), config)));
}

} // namespace
} // namespace kiln::bundle
