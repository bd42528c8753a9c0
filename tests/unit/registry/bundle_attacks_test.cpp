// SPDX-License-Identifier: Apache-2.0
// Hostile bundles: nothing of them gets into a region.
#include "core/process.h"
#include "tests/unit/registry/bundle_fixture.h"

namespace kiln::registry
{
namespace
{
using test::MadeMember;
using ::testing::HasSubstr;

TEST_F(BundleTransferTest, Attack08_OnlyPlainFilesWithTheNamesOfBlobs)
{
    const std::vector<MadeMember> good = test::members_of(exported(publish_with_sbom("web")));
    const auto with = [&](const MadeMember& member, std::size_t at = 10) {
        std::vector<MadeMember> members = good;
        members.insert(members.begin() + static_cast<std::ptrdiff_t>(at), member);
        return members;
    };
    const std::string victim = (temporary.path() / "victim").native();
    write_file_durably(victim, "untouched");
    for (const std::size_t at : {std::size_t{0}, std::size_t{2}, std::size_t{10}, good.size()}) {
        expect_untrusted(with({.name = "../../victim", .content = "x"}, at), "its name holds \"..\"");
        expect_untrusted(with({.name = "blobs/sha256/../../../../victim", .content = "x"}, at),
                         "its name holds \"..\"");
        expect_untrusted(with({.name = victim, .content = "x"}, at), "its name is absolute");
        expect_untrusted(with({.name = "blobs/sha256/link", .type = '2', .target = victim}, at),
                         "it is not a regular file");
        expect_untrusted(with({.name = "blobs/sha256/" + std::string(64, 'a'), .type = '2', .target = victim}, at),
                         "it is not a regular file");
        expect_untrusted(with({.name = "hard", .type = '1', .target = "../victim"}, at), "");
        expect_untrusted(with({.name = "null", .type = '3'}, at), "device, FIFO or socket");
        expect_untrusted(with({.name = "fifo", .type = '6'}, at), "device, FIFO or socket");
        expect_untrusted(with({.name = "blobs/", .type = '5'}, at), "it is not a regular file");
        expect_untrusted(with({.name = "suid", .content = "x", .mode = 04755}, at), "set-id bit");
    }
    expect_untrusted(with({.name = good[2].name, .content = good[2].content}), "its name comes twice");
    expect_untrusted(with(good[10], 11), "its name comes twice");
    expect_untrusted(with({.name = "./" + good[10].name, .content = good[10].content}, 11), "its name comes twice");
    expect_untrusted(with({.name = "README", .content = "x"}), "it is not named blobs/sha256/ and a digest");
    expect_untrusted(with({.name = "blobs/sha256/" + digest_of("x").hex(), .content = "x"}),
                     "nothing before it in the bundle names this blob");
    // A link in place of a layer, as which it would be opened.
    std::vector<MadeMember> linked = good;
    linked[10] = {.name = good[10].name, .type = '2', .target = victim};
    expect_untrusted(linked, "it is not a regular file");
    EXPECT_EQ("untouched", read_file(victim));
}

TEST_F(BundleTransferTest, Attack08_TheOrderIsTheOneThatIsSigned)
{
    const std::vector<MadeMember> good = test::members_of(exported(publish_with_sbom("web")));
    const auto swapped = [&](std::size_t one, std::size_t other_one) {
        std::vector<MadeMember> members = good;
        std::swap(members[one], members[other_one]);
        return members;
    };
    expect_untrusted(swapped(0, 1), "oci-layout should be here");
    expect_untrusted(swapped(1, 2), "index.json should be here");
    expect_untrusted(swapped(8, 10), "this layer comes before the documents that sign it");
    expect_untrusted(swapped(3, 5), "nothing before it in the bundle names this blob");
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::vector<MadeMember> members = good;
        members.erase(members.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_EQ(ErrorKind::untrusted, refusal(test::tar_of(members)).kind()) << "without member " << i;
    }
}

TEST_F(BundleTransferTest, Attack09_SizesStopAtTheSignedSize)
{
    const std::vector<MadeMember> good = test::members_of(exported(publish_with_sbom("web")));
    for (std::size_t i = 2; i < good.size(); ++i) {
        std::vector<MadeMember> members = good;
        members[i].content += "x";
        expect_untrusted(members, "bytes instead of");
        members[i].content = good[i].content.substr(1);
        expect_untrusted(members, "bytes instead of");
        members[i].declared = 0777777777777U >> 1U; // 32 GiB: nothing is made room for
        expect_untrusted(members, "bytes instead of");
    }
    std::vector<MadeMember> members = good;
    members[1].content.resize(2U << 20U, ' ');
    expect_untrusted(members, "its member \"index.json\": it is larger than 1 MiB");
    // An index that promises a huge document is not believed either.
    members = good;
    Json index = parse_json(good[1].content, "x");
    index["manifests"][0]["size"] = std::int64_t{16} << 40U;
    members[1].content = index.dump();
    expect_untrusted(members, "index.json: manifests[0].size");
}

TEST_F(BundleTransferTest, Attack09_CompressionIsNotUndone)
{
    if (!find_program("gzip")) {
        GTEST_SKIP() << "the program gzip is not installed";
    }
    write_file_durably(file, exported(publish_with_sbom("web")));
    const std::string packed = run_or_throw({.argv = {"gzip", "-c", file.native()}}, "packing");
    EXPECT_THAT(refusal(packed).what(), HasSubstr("it can't be read"));
    EXPECT_THAT(refusal("no bundle at all").what(), HasSubstr("it can't be read"));
    EXPECT_EQ(ErrorKind::untrusted, refusal("").kind());
}

TEST_F(BundleTransferTest, Attack10_OneBitInAnyMemberFails)
{
    const std::vector<MadeMember> good = test::members_of(exported(publish_with_sbom("web")));
    for (std::size_t i = 0; i < good.size(); ++i) {
        for (const std::size_t position : {std::size_t{0}, good[i].content.size() / 2, good[i].content.size() - 1}) {
            std::vector<MadeMember> members = good;
            members[i].content[position] = static_cast<char>(members[i].content[position] ^ 1);
            const Error error = refusal(test::tar_of(members));
            EXPECT_EQ(ErrorKind::untrusted, error.kind()) << i << " at " << position << ": " << error.what();
        }
    }
}

TEST_F(BundleTransferTest, Attack11_AnEditedManifestWithTheSignatureKeptFails)
{
    const std::string disk = test::made_qcow2("disk");
    std::vector<MadeMember> members = made(manifest_over(disk), disk, key);
    const std::vector<MadeMember> signature = members;
    bundle::Manifest edited = manifest_over(disk);
    edited.tests.clear();
    members = made(edited, disk, key);
    // The old statement in the place of the new one, named by a manifest that fits it.
    const bundle::Layout scratch(temporary.path() / "edit", true);
    const auto image = scratch.put(members[2].content, bundle::oci_manifest_type);
    const auto envelope = scratch.put(signature[5].content, bundle::dsse_type);
    const std::string attached = bundle::attached_oci_manifest(bundle::signature_artifact_type, envelope, image);
    Json index = parse_json(members[1].content, "x");
    index["manifests"][1]["digest"] = digest_of(attached).to_string();
    index["manifests"][1]["size"] = attached.size();
    members[1].content = index.dump();
    members[3] = {.name = "blobs/sha256/" + digest_of(attached).hex(), .content = attached};
    members[5] = signature[5];
    expect_untrusted(members, "web 1.0.0 was refused: signed statement: it says manifest sha256:");
}

TEST_F(BundleTransferTest, Attack12_AnUntrustedKeyFailsBeforeALayerIsRead)
{
    const std::string disk = test::made_qcow2("disk");
    std::vector<MadeMember> members = made(manifest_over(disk), disk, signing::SecretKey::generate());
    members.back().content = "not even read";
    const Error error = refusal(test::tar_of(members));
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("web 1.0.0 was refused: signature: it is not signed by a key that is "
                                           "trusted for its owner, account 123456789012"));
    EXPECT_THAT(error.hint(), HasSubstr("kiln key trust ACCOUNT FILE"));
}

TEST_F(BundleTransferTest, Attack13_UnsignedFails)
{
    const std::string disk = test::made_qcow2("disk");
    std::vector<MadeMember> members = made(manifest_over(disk), disk, key);
    Json index = parse_json(members[1].content, "x");
    index["manifests"].erase(1);
    members[1].content = index.dump();
    members.erase(members.begin() + 3, members.begin() + 6);
    expect_untrusted(members, "web 1.0.0 was refused: signature: it is unsigned");
}

TEST_F(BundleTransferTest, Attack14_AKeyInTheBundleIsNotLookedAt)
{
    const std::string disk = test::made_qcow2("disk");
    const signing::SecretKey theirs = signing::SecretKey::generate();
    std::vector<MadeMember> members = made(manifest_over(disk), disk, theirs);
    members.insert(members.end() - 1, {.name = "trust/123456789012/key.pem", .content = theirs.public_key().to_pem()});
    expect_untrusted(members, "was refused: signature: it is not signed by a key that is trusted");
    Json index = parse_json(members[1].content, "x");
    index["manifests"][0]["annotations"]["key"] = theirs.public_key().to_pem();
    members[1].content = index.dump();
    expect_untrusted(members, "was refused: signature: it is not signed by a key that is trusted");
}

TEST_F(BundleTransferTest, Attack15_TheSignatureOfAnotherImageFails)
{
    const std::vector<MadeMember> one = test::members_of(exported(publish_with_sbom("web")));
    const std::vector<MadeMember> two = test::members_of(exported(publish_with_sbom("shop")));
    // The index of one names the attachments of the other.
    Json index = parse_json(one[1].content, "x");
    const Json foreign = parse_json(two[1].content, "x");
    index["manifests"][1] = foreign["manifests"][1];
    std::vector<MadeMember> members = one;
    members[1].content = index.dump();
    members[3] = two[3];
    members[5] = two[5];
    expect_untrusted(members, "is about another image");
}

TEST_F(BundleTransferTest, Attack01_ALayerThatNamesAnotherFileFails)
{
    std::string disk = test::made_qcow2("content");
    disk.replace(256, 11, "/etc/shadow");
    test::put_big_endian(disk, 8, 256, 8);
    test::put_big_endian(disk, 16, 11, 4);
    expect_untrusted(made(manifest_over(disk), disk, key), "it stands on the backing file \"/etc/shadow\"");
}

TEST_F(BundleTransferTest, Attack43_HostileNamesAreRefused)
{
    const std::string disk = test::made_qcow2("disk");
    for (const std::string name : {"../../x", "-rf", "web\x1b[2J", "wеb", "a/b", "ami-0123456789abcdef0"}) {
        bundle::Manifest manifest = manifest_over(disk);
        manifest.name = name;
        expect_untrusted(made(manifest, disk, key), "manifest: name");
    }
}

TEST_F(BundleTransferTest, AForeignAttachmentIsRefused)
{
    bundle::Manifest manifest = test::manifest_to_publish("web", {1, 0, 0});
    const Image image = region.publish(manifest, {{"/dev/vda", layer("disk")}}, key);
    const signing::SecretKey theirs = signing::SecretKey::generate();
    attach(signing::sign_envelope(signing::in_toto_payload_type, "{}", theirs), manifest_of(image),
           bundle::sbom_artifact_type);
    const Error error = refusal(exported(image));
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_EQ("the attachment of type application/spdx+json was refused: it is not signed by a key that is trusted "
              "for its owner",
              error.message());
}

} // namespace
} // namespace kiln::registry
