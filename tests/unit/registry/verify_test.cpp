// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/registry/region_fixture.h"

#include "signing/statement.h"

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

class VerifyTest : public test::RegionTest
{
protected:
    Image image = publish("web", {1, 0, 0});
    const std::string stranger = "999999999999";

    std::string envelope_of(const Image& published) const
    {
        const Digest signature =
            region.layout().find_attached(published.manifest, bundle::signature_artifact_type).at(0);
        const auto manifest = bundle::parse_attached_oci_manifest(region.layout().read_verified(signature),
                                                                  bundle::signature_artifact_type);
        return region.layout().read_verified(manifest.envelope.digest);
    }
    signing::Statement statement() const
    {
        return {.name = image.name,
                .version = image.version,
                .architecture = image.architecture,
                .manifest = image.manifest,
                .account = image.owner,
                .signed_at = "2026-11-23T17:44:58Z"};
    }
    void sign_instead(const signing::Statement& statement, const signing::SecretKey& with) const
    {
        forget_signatures();
        attach(signing::sign_envelope(signing::in_toto_payload_type, signing::statement_payload(statement), with),
               manifest_of(image));
    }
    void expect_untrusted(const std::string& part) const
    {
        const Error error = verdict(image);
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_THAT(error.message(), HasSubstr(part));
        EXPECT_THAT(error.message(), HasSubstr("web 1.0.0 (" + image.id + ") in region local was refused: "));
        EXPECT_FALSE(error.hint().empty());
    }
};

TEST_F(VerifyTest, ListsEveryCheckInOrder)
{
    std::vector<std::string> names;
    for (const Check& check : decide(region, image, trust, test::owner).checks) {
        EXPECT_TRUE(check.passed) << check.name << ": " << check.detail;
        EXPECT_FALSE(check.detail.empty());
        names.push_back(check.name);
    }
    EXPECT_EQ((std::vector<std::string>{"manifest digest", "manifest format", "signature", "signed statement", "policy",
                                        "configuration digest", "name and version", "layer list", "events", "state",
                                        "launch permission", "disk /dev/vda layer 1"}),
              names);
}

TEST_F(VerifyTest, Attack10OneBitInAnyBlobFails)
{
    int flipped = 0;
    for (const fs::path& blob : blobs()) {
        const std::string good = read_file(blob);
        for (const std::size_t position : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
            std::string bad = good;
            bad[position] = static_cast<char>(bad[position] ^ 1);
            overwrite(blob, bad);
            EXPECT_EQ(ErrorKind::untrusted, verdict(image).kind()) << blob << " at " << position;
            ++flipped;
        }
        overwrite(blob, good);
        EXPECT_EQ("verified", verdict(image).message());
    }
    EXPECT_EQ(18, flipped);
}

TEST_F(VerifyTest, AMissingShortOrLongBlobFails)
{
    for (const fs::path& blob : blobs()) {
        const std::string good = read_file(blob);
        fs::remove(blob);
        EXPECT_EQ(ErrorKind::untrusted, verdict(image).kind()) << blob;
        overwrite(blob, good.substr(1));
        EXPECT_EQ(ErrorKind::untrusted, verdict(image).kind()) << blob;
        overwrite(blob, good + "x");
        EXPECT_EQ(ErrorKind::untrusted, verdict(image).kind()) << blob;
        overwrite(blob, good);
    }
    EXPECT_EQ("verified", verdict(image).message());
}

// Also where the signer is trusted: QEMU would open what the header names.
TEST_F(VerifyTest, Attack01ALayerThatNamesAnotherFileFails)
{
    std::string bytes = test::made_qcow2("content");
    constexpr std::size_t name_offset = 256;
    const std::string name("/etc/shadow");
    bytes.replace(name_offset, name.size(), name);
    test::put_big_endian(bytes, 8, name_offset, 8);
    test::put_big_endian(bytes, 16, name.size(), 4);
    const fs::path file = layer("-");
    overwrite(file, bytes);
    const Image hostile = region.publish(test::manifest_to_publish("hostile", {1, 0, 0}), {{"/dev/vda", file}}, key);
    EXPECT_THAT(verdict(hostile).message(), testing::HasSubstr("it stands on the backing file \"/etc/shadow\""));
}

TEST_F(VerifyTest, ALayerThatIsALinkOrFifoFails)
{
    const auto manifest = region.load_manifest(image);
    const fs::path blob = region.layout().blob_path(manifest.block_devices[0].layers[0].digest);
    const fs::path elsewhere = temporary.path() / "elsewhere";
    fs::rename(blob, elsewhere);
    fs::create_symlink(elsewhere, blob);
    expect_untrusted("disk /dev/vda layer 1: " + manifest.block_devices[0].layers[0].digest.to_string() +
                     ": its blob is not a regular file");
}

TEST_F(VerifyTest, Attack11AnEditedManifestWithTheSignatureKeptFails)
{
    bundle::Manifest edited = region.load_manifest(image);
    edited.tests.clear();
    const auto config = region.layout().put(canonical_json(to_json(edited)), bundle::ami_artifact_type);
    const auto oci = region.layout().put(bundle::ami_oci_manifest(edited, config), bundle::oci_manifest_type);
    const std::string envelope = envelope_of(image);
    sql("UPDATE images SET manifest = '" + oci.digest.to_string() + "'");
    image = region.resolve(image.id);
    expect_untrusted("signature: it is unsigned");
    attach(envelope, oci);
    expect_untrusted("signed statement: it says manifest sha256:");
}

TEST_F(VerifyTest, Attack12AnUntrustedKeyFails)
{
    const signing::SecretKey other = signing::SecretKey::generate();
    sign_instead(statement(), other);
    expect_untrusted("signature: it is not signed by a key that is trusted for its owner, account 123456789012");
    // Trusted, but for somebody else.
    trust.trust(stranger, other.public_key());
    expect_untrusted("signature: it is not signed by a key that is trusted for its owner");
    trust.trust(test::owner, other.public_key());
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(VerifyTest, AnUntrustedSignatureDoesNotSpoilAGoodOne)
{
    attach(signing::sign_envelope(signing::in_toto_payload_type, signing::statement_payload(statement()),
                                  signing::SecretKey::generate()),
           manifest_of(image));
    attach("garbage", manifest_of(image));
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(VerifyTest, Attack13UnsignedFails)
{
    forget_signatures();
    expect_untrusted("signature: it is unsigned");
    EXPECT_THAT(failed(image), Contains("signed statement"));
}

TEST_F(VerifyTest, AnOwnerWithoutKeysFails)
{
    fs::remove_all(temporary.path() / "trust");
    expect_untrusted("(which has no trusted key)");
}

TEST_F(VerifyTest, Attack15TheSignatureOfAnotherImageFails)
{
    const Image other = publish("other", {1, 0, 0});
    const std::string envelope = envelope_of(other);
    forget_signatures();
    attach(envelope, manifest_of(image));
    expect_untrusted("signed statement: it says name other instead of web, manifest ");
}

TEST_F(VerifyTest, Attack15AStatementForAnotherImageFails)
{
    const std::vector<std::pair<std::function<void(signing::Statement&)>, std::string>> changes{
        {[](auto& changed) { changed.name = "webb"; }, "name webb instead of web"},
        {[](auto& changed) { changed.version.patch = 1; }, "version 1.0.1 instead of 1.0.0"},
        {[](auto& changed) { changed.architecture = "aarch64"; }, "architecture aarch64 instead of x86_64"},
        {[](auto& changed) { changed.manifest = digest_of("x"); }, "manifest " + digest_of("x").to_string()},
        {[](auto& changed) { changed.account = "999999999999"; }, "account 999999999999 instead of 123456789012"},
    };
    for (const auto& [change, part] : changes) {
        signing::Statement changed = statement();
        change(changed);
        sign_instead(changed, key);
        expect_untrusted("signed statement: it says " + part);
    }
}

TEST_F(VerifyTest, Attack15ARenamedCatalogueEntryFails)
{
    const std::vector<std::pair<std::string, std::string>> changes{
        {"name = 'bank'", "name web instead of bank"},
        {"minor = 7", "version 1.0.0 instead of 1.7.0"},
        {"architecture = 'aarch64'", "architecture x86_64 instead of aarch64"},
    };
    for (const auto& [change, part] : changes) {
        sql("UPDATE images SET " + change);
        const Image changed = region.resolve(image.id);
        const Error error = verdict(changed);
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_THAT(error.message(), HasSubstr("signed statement: it says " + part));
        EXPECT_THAT(failed(changed), Contains("name and version"));
        sql("UPDATE images SET name = 'web', minor = 0, architecture = 'x86_64'");
    }
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(VerifyTest, AnotherOwnerInTheCatalogueFails)
{
    const signing::SecretKey other = signing::SecretKey::generate();
    trust.trust(stranger, other.public_key());
    sql("UPDATE images SET owner = '999999999999'");
    const Error error = verdict(image, stranger);
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(),
                HasSubstr("signature: it is not signed by a key that is trusted for its owner, account 999999999999"));
}

TEST_F(VerifyTest, Attack17ASignatureManifestOfAnotherSubjectIsNotTaken)
{
    Json changed = index();
    const Image other = publish("other", {1, 0, 0});
    const Digest foreign = region.layout().find_attached(other.manifest, bundle::signature_artifact_type).at(0);
    changed["manifests"][1]["digest"] = foreign.to_string();
    set_index(changed);
    expect_untrusted("signature: it is unsigned");
}

TEST_F(VerifyTest, Attack17OtherLayersInTheOciManifestFail)
{
    const bundle::Manifest manifest = region.load_manifest(image);
    bundle::Manifest more = manifest;
    more.block_devices[0].layers.push_back({digest_of("x"), ByteSize(1)});
    const auto oci = bundle::parse_ami_oci_manifest(region.layout().read_verified(image.manifest));
    const auto mixed = region.layout().put(bundle::ami_oci_manifest(more, oci.config), bundle::oci_manifest_type);
    sql("UPDATE images SET manifest = '" + mixed.digest.to_string() + "'");
    image = region.resolve(image.id);
    signing::Statement signed_mix = statement();
    sign_instead(signed_mix, key);
    expect_untrusted("layer list: the OCI manifest lists other layers than the AMI manifest");
}

TEST_F(VerifyTest, Attack20AnEnvelopeOfAnotherTypeFails)
{
    forget_signatures();
    attach(signing::sign_envelope("text/plain", signing::statement_payload(statement()), key), manifest_of(image));
    expect_untrusted("its payload type is text/plain");
}

TEST_F(VerifyTest, Attack22_ThePermissionIsAskedForAtEachLaunch)
{
    const Error refused = verdict(image, stranger);
    EXPECT_EQ(ErrorKind::permission_denied, refused.kind());
    EXPECT_THAT(refused.message(), HasSubstr("launch permission: account 999999999999 may not launch it"));
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, "").kind());
    change(image, share_with({.everyone = true}));
    EXPECT_EQ("verified", verdict(image, stranger).message()); // with the same, now stale, Image
    change(image, unshare_with({.everyone = true}));
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, stranger).kind());
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(VerifyTest, Attack22_ARemovedAccountIsRefusedAtTheNextLaunch)
{
    change(image, share_with({.accounts = {stranger, "210987654321"}}));
    EXPECT_EQ("verified", verdict(image, stranger).message());
    change(image, unshare_with({.accounts = {stranger}}));
    const Error refused = verdict(image, stranger);
    EXPECT_EQ(ErrorKind::permission_denied, refused.kind());
    EXPECT_EQ("web 1.0.0 (" + image.id +
                  ") in region local was refused: launch permission: account 999999999999 may not launch it: it is "
                  "private to account 123456789012 and others",
              refused.message());
    EXPECT_EQ("verified", verdict(image, "210987654321").message());
}

TEST_F(VerifyTest, Attack22_ADisabledImageIsRefusedForEveryone)
{
    change(image, share_with({.everyone = true}));
    change(image, disable());
    for (const std::string& caller : {std::string(test::owner), stranger}) {
        const Error error = verdict(image, caller);
        EXPECT_EQ(ErrorKind::permission_denied, error.kind());
        EXPECT_THAT(error.message(), HasSubstr("state: it is disabled"));
    }
    change(image, enable());
    EXPECT_EQ("verified", verdict(image).message());
    change(image, deprecate_at("2020-01-01T00:00:00Z"));
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(VerifyTest, AnImageThatIsGoneIsNotFound)
{
    sql("DELETE FROM images");
    EXPECT_EQ(ErrorKind::not_found,
              test::error_of([&] { static_cast<void>(verify(region, image, trust, test::owner)); }).kind());
}

TEST_F(VerifyTest, ADamagedTrustStoreFails)
{
    write_file_durably(temporary.path() / "trust" / test::owner / "x.pem", "garbage");
    expect_untrusted("x.pem is damaged");
}

TEST_F(VerifyTest, GoesOnAfterAFailure)
{
    const auto manifest = region.load_manifest(image);
    overwrite(region.layout().blob_path(manifest.block_devices[0].layers[0].digest), "x");
    forget_signatures();
    sql("UPDATE images SET state = 'disabled'");
    EXPECT_EQ((std::vector<std::string>{"signature", "signed statement", "policy", "events", "state",
                                        "launch permission", "disk /dev/vda layer 1"}),
              failed(image));
}

TEST_F(VerifyTest, LayersComeFromTheVerifiedManifestOnly)
{
    const VerifiedImage verified = verify(region, image, trust, test::owner);
    bundle::BlockDeviceMapping forged = verified.manifest().block_devices[0];
    forged.layers = {{digest_of("evil"), ByteSize(1)}};
    EXPECT_EQ(verified.layer_paths(verified.manifest().block_devices[0]), verified.layer_paths(forged));
    forged.device = "/dev/vdb";
    EXPECT_THROW(static_cast<void>(verified.layer_paths(forged)), Error);
}

TEST_F(VerifyTest, ManyLayersAreReadInParallelAndEachIsChecked)
{
    bundle::Manifest manifest = test::manifest_to_publish("many", {1, 0, 0});
    std::vector<NewLayer> layers;
    for (int i = 0; i < 40; ++i) {
        layers.push_back({"/dev/vda", layer("layer " + std::to_string(i % 39))});
    }
    const Image many = region.publish(manifest, layers, key);
    EXPECT_EQ("verified", verdict(many).message());
    const auto stored = region.load_manifest(many).block_devices[0].layers;
    ASSERT_EQ(40U, stored.size());
    overwrite(region.layout().blob_path(stored[39].digest), "layer x"); // also layer 0
    overwrite(region.layout().blob_path(stored[17].digest), "layer y");
    EXPECT_EQ((std::vector<std::string>{"disk /dev/vda layer 1", "disk /dev/vda layer 18", "disk /dev/vda layer 40"}),
              failed(many));
}

TEST_F(VerifyTest, AListedAccountMayLaunchAndNoOther)
{
    bundle::Manifest manifest = test::manifest_to_publish("shared", {1, 0, 0});
    manifest.launch.accounts = {"210987654321"};
    const Image shared = region.publish(manifest, {{"/dev/vda", layer("disk")}}, key);
    EXPECT_TRUE(decide(region, shared, trust, "210987654321").passed());
    EXPECT_TRUE(decide(region, shared, trust, test::owner).passed());
    EXPECT_EQ(ErrorKind::permission_denied, verdict(shared, "210987654320").kind());
    EXPECT_EQ(ErrorKind::permission_denied, verdict(shared, "").kind());
}

} // namespace
} // namespace kiln::registry
