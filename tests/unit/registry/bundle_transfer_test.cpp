// SPDX-License-Identifier: Apache-2.0
// Images as single files: what is exported comes back under another id, and nothing else gets in.
#include "registry/bundle_transfer.h"

#include "core/process.h"
#include "core/random.h"
#include "signing/statement.h"
#include "tests/support/read_tar.h"
#include "tests/unit/registry/region_fixture.h"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::MadeMember;
using ::testing::HasSubstr;

const Transfer silent{.transferred = [](ByteSize, ByteSize) {}};
const std::string stranger = "999999999999";

class BundleTransferTest : public test::RegionTest
{
protected:
    const fs::path file = temporary.path() / "web.ami";
    Region other{temporary.path() / "other", "other"};
    signing::SecretKey stranger_key = signing::SecretKey::generate();

    Image publish_with_sbom(const std::string& name, bool is_public = false)
    {
        bundle::Manifest manifest = test::manifest_to_publish(name, {1, 0, 0});
        manifest.launch_public = is_public;
        return region.publish(
            manifest, {{"/dev/vda", layer(name + std::string(5000, '.'))}, {"/dev/vda", layer(name + " upper")}}, key,
            {{std::string(bundle::sbom_artifact_type), R"({"spdxVersion":"SPDX-2.3"})"}});
    }
    std::string exported(const Image& image) const
    {
        const VerifiedImage verified = verify(region, image, trust, test::owner);
        const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        export_image(region, verified, fd.get(), silent);
        return read_file(file);
    }
    Image import(const std::string& bytes, const std::string& caller = test::owner)
    {
        std::ofstream(file, std::ios::binary) << bytes;
        const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        return other.import_image(fd.get(), trust,
                                  {.account = caller, .key = caller == test::owner ? key : stranger_key}, silent);
    }
    // Imports that are under way, or were killed.
    std::ptrdiff_t imports() const
    {
        const fs::path folder_of_imports = temporary.path() / "other/imports";
        return fs::exists(folder_of_imports) ? std::distance(fs::directory_iterator(folder_of_imports), {}) : 0;
    }
    // Nothing of a refused bundle is left: no row, no index entry, no blob, no file under way.
    Error refusal(const std::string& bytes, const std::string& caller = test::owner)
    {
        Error error = test::error_of([&] { static_cast<void>(import(bytes, caller)); });
        EXPECT_TRUE(other.images().empty());
        EXPECT_TRUE(other.layout().find_all(bundle::ami_artifact_type).empty());
        EXPECT_TRUE(fs::is_empty(temporary.path() / "other/blobs/sha256")) << error.what();
        EXPECT_TRUE(imports() == 0) << error.what();
        return error;
    }
    void expect_untrusted(const std::vector<MadeMember>& members, const std::string& part)
    {
        const Error error = refusal(test::tar_of(members));
        EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(part));
    }
    // The signed bundle of an image whose manifest and statement a test changed.
    std::vector<MadeMember> made(const bundle::Manifest& manifest, const std::string& layer_bytes,
                                 const signing::SecretKey& with) const
    {
        const bundle::Layout scratch(temporary.path() / random_hex(8), true);
        const auto config = scratch.put(canonical_json(to_json(manifest)), bundle::ami_artifact_type);
        const auto image = scratch.put(bundle::ami_oci_manifest(manifest, config), bundle::oci_manifest_type);
        static_cast<void>(scratch.put(bundle::oci_empty_blob, bundle::oci_empty_type));
        const auto envelope =
            scratch.put(signing::sign_envelope(signing::in_toto_payload_type,
                                               signing::statement_payload({.name = manifest.name,
                                                                           .version = manifest.version,
                                                                           .architecture = manifest.architecture,
                                                                           .manifest = image.digest,
                                                                           .account = manifest.owner,
                                                                           .signed_at = "2026-11-23T17:44:58Z"}),
                                               with),
                        bundle::dsse_type);
        const auto signature = scratch.put(
            bundle::attached_oci_manifest(bundle::signature_artifact_type, envelope, image), bundle::oci_manifest_type);
        const Json index{{"schemaVersion", 2},
                         {"mediaType", "application/vnd.oci.image.index.v1+json"},
                         {"manifests", Json::array({{{"mediaType", bundle::oci_manifest_type},
                                                     {"artifactType", bundle::ami_artifact_type},
                                                     {"digest", image.digest.to_string()},
                                                     {"size", image.size.bytes()},
                                                     {"annotations", Json::object()}},
                                                    {{"mediaType", bundle::oci_manifest_type},
                                                     {"artifactType", bundle::signature_artifact_type},
                                                     {"digest", signature.digest.to_string()},
                                                     {"size", signature.size.bytes()},
                                                     {"annotations", Json::object()}}})}};
        std::vector<MadeMember> members{{.name = "oci-layout", .content = R"({"imageLayoutVersion":"1.0.0"})"},
                                        {.name = "index.json", .content = index.dump()}};
        const auto add = [&](const Digest& digest) {
            members.push_back({.name = "blobs/sha256/" + digest.hex(), .content = scratch.read_verified(digest)});
        };
        add(image.digest);
        add(signature.digest);
        add(digest_of(bundle::oci_empty_blob));
        add(envelope.digest);
        add(config.digest);
        members.push_back({.name = "blobs/sha256/" + digest_of(layer_bytes).hex(), .content = layer_bytes});
        return members;
    }
    bundle::Manifest manifest_over(const std::string& layer_bytes) const
    {
        bundle::Manifest manifest = test::manifest_to_publish("web", {1, 0, 0});
        manifest.block_devices[0].layers = {{digest_of(layer_bytes), ByteSize(layer_bytes.size())}};
        return manifest;
    }
};

TEST_F(BundleTransferTest, ComesBackWithAnotherIdAndAllThatIsAttached)
{
    const Image image = publish_with_sbom("web");
    const Image back = import(exported(image));
    EXPECT_NE(image.id, back.id);
    EXPECT_EQ(image.manifest, back.manifest);
    EXPECT_EQ("web", back.name);
    EXPECT_EQ(image.stored_size, back.stored_size);
    EXPECT_EQ(image.created, back.created);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_EQ(parse_json(R"({"spdxVersion":"SPDX-2.3"})", "x"),
              other.attachment(back, bundle::sbom_artifact_type, trust));
    EXPECT_TRUE(imports() == 0);
}

TEST_F(BundleTransferTest, TheSameImageIsTheSameFileInItsOrder)
{
    const Image image = publish_with_sbom("web");
    const std::string bytes = exported(image);
    EXPECT_EQ(bytes, exported(image));
    const std::vector<MadeMember> members = test::members_of(bytes);
    ASSERT_EQ(11U, members.size()); // + image, config, 2 x (manifest, envelope), the empty blob, 2 layers
    EXPECT_EQ("oci-layout", members[0].name);
    EXPECT_EQ("index.json", members[1].name);
    EXPECT_EQ("blobs/sha256/" + image.manifest.hex(), members[2].name);
    const auto manifest = region.load_manifest(image);
    EXPECT_EQ("blobs/sha256/" + manifest.block_devices[0].layers[1].digest.hex(), members[10].name);
    EXPECT_EQ(test::tar_of(members).size(), bytes.size());
}

TEST_F(BundleTransferTest, ComesThroughAPipeThatIsPaddedToARecord)
{
    std::string bytes = exported(publish_with_sbom("web"));
    bytes.resize(bytes.size() + 300'000);
    std::array<int, 2> pipe{};
    ASSERT_EQ(0, ::pipe(pipe.data()));
    std::size_t sent = 0;
    std::jthread writer([&] {
        while (sent < bytes.size()) {
            const ssize_t written =
                ::write(pipe[1], bytes.data() + sent, std::min<std::size_t>(bytes.size() - sent, 7777));
            if (written <= 0) {
                break;
            }
            sent += static_cast<std::size_t>(written);
        }
        ::close(pipe[1]);
    });
    const Image back = other.import_image(pipe[0], trust, {.account = test::owner, .key = key}, silent);
    writer.join();
    ::close(pipe[0]);
    EXPECT_EQ(bytes.size(), sent);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
}

TEST_F(BundleTransferTest, ImportingTwiceIsTold)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    const Image first = import(bytes);
    const Error again = test::error_of([&] { static_cast<void>(import(bytes)); });
    EXPECT_EQ(ErrorKind::conflict, again.kind());
    EXPECT_EQ("web 1.0.0 (x86_64) is already in region other as " + first.id + ": the very same image",
              again.message());
    const std::string disk = test::made_qcow2("another");
    const Error another =
        test::error_of([&] { static_cast<void>(import(test::tar_of(made(manifest_over(disk), disk, key)))); });
    EXPECT_EQ(ErrorKind::conflict, another.kind());
    EXPECT_EQ("region other has another image of the name and version web 1.0.0 (x86_64): " + first.id,
              another.message());
    EXPECT_EQ(1U, other.images().size());
}

TEST_F(BundleTransferTest, WhatATestMakesIsTakenUnlessItIsChanged)
{
    const std::string disk = test::made_qcow2("disk");
    EXPECT_EQ("web", import(test::tar_of(made(manifest_over(disk), disk, key))).name);
}

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

TEST_F(BundleTransferTest, Attack22_OnlyWhoMayLaunchItMayTakeIt)
{
    const Error error = refusal(exported(publish_with_sbom("web")), stranger);
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("launch permission: account 999999999999 may not launch it"));
    EXPECT_EQ("shop", import(exported(publish_with_sbom("shop", true)), stranger).name);
}

TEST_F(BundleTransferTest, Attack33_ACutBundleFailsWhereverItIsCut)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    for (std::size_t length = 0; length + 1024 < bytes.size(); length += 997) {
        EXPECT_EQ(ErrorKind::untrusted, refusal(bytes.substr(0, length)).kind()) << length;
    }
}

TEST_F(BundleTransferTest, AForeignAttachmentIsRefused)
{
    bundle::Manifest manifest = test::manifest_to_publish("web", {1, 0, 0});
    const Image image = region.publish(manifest, {{"/dev/vda", layer("disk")}}, key);
    const signing::SecretKey theirs = signing::SecretKey::generate();
    const auto envelope =
        region.layout().put(signing::sign_envelope(signing::in_toto_payload_type, "{}", theirs), bundle::dsse_type);
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), image.manifest,
                                     ByteSize(region.layout().read_verified(image.manifest).size())};
    const auto attached = region.layout().put(
        bundle::attached_oci_manifest(bundle::sbom_artifact_type, envelope, subject), bundle::oci_manifest_type);
    region.layout().add_to_index(attached, bundle::sbom_artifact_type, Json::object());
    const Error error = refusal(exported(image));
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_EQ("the attachment of type application/spdx+json was refused: it is not signed by a key that is trusted "
              "for its owner",
              error.message());
}

TEST_F(BundleTransferTest, AnInterruptedImportLeavesNothing)
{
    std::stop_source stop;
    write_file_durably(file, exported(publish_with_sbom("web")));
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const Error error = test::error_of([&] {
        static_cast<void>(other.import_image(
            fd.get(), trust, {.account = test::owner, .key = key},
            {.transferred = [&](ByteSize, ByteSize) { stop.request_stop(); }, .stop = stop.get_token()}));
    });
    EXPECT_EQ(ErrorKind::interrupted, error.kind());
    EXPECT_TRUE(other.images().empty());
    EXPECT_TRUE(imports() == 0);
}

// Half a bundle, then nothing more: the import waits, is killed, and the next one cleans up behind it.
TEST_F(BundleTransferTest, Attack23_AKilledImportLeavesNothingThatGrows)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    const std::size_t steps = 8;
    for (std::size_t step = 0; step <= steps; ++step) {
        std::array<int, 2> pipe{};
        ASSERT_EQ(0, ::pipe(pipe.data()));
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::close(pipe[1]);
            try {
                Region mine(temporary.path() / "other", "other");
                static_cast<void>(mine.import_image(pipe[0], trust, {.account = test::owner, .key = key}, silent));
            } catch (...) {
            }
            ::_exit(0);
        }
        ::close(pipe[0]);
        const std::string part = bytes.substr(0, (bytes.size() - 2048) * step / steps);
        ASSERT_EQ(static_cast<ssize_t>(part.size()), ::write(pipe[1], part.data(), part.size()));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        ::close(pipe[1]);
        EXPECT_TRUE(other.images().empty());
        EXPECT_LE(imports(), 1) << step;
    }
    const Image back = import(bytes);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_TRUE(imports() == 0);
}

TEST_F(BundleTransferTest, Attack26_OfManyImportsOneWins)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    write_file_durably(file, bytes);
    std::array<int, 4> results{};
    {
        std::vector<std::jthread> threads;
        for (int& result : results) {
            threads.emplace_back([&] {
                const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
                try {
                    Region mine(temporary.path() / "other", "other");
                    static_cast<void>(mine.import_image(fd.get(), trust, {.account = test::owner, .key = key}, silent));
                } catch (const Error& error) {
                    result = exit_code(error.kind());
                }
            });
        }
    }
    EXPECT_EQ(1, std::ranges::count(results, 0));
    EXPECT_EQ(3, std::ranges::count(results, 10));
    EXPECT_EQ(1U, other.images().size());
    EXPECT_TRUE(decide(other, other.images().at(0), trust, test::owner).passed());
}

TEST_F(BundleTransferTest, ADamagedBlobIsNotExported)
{
    const Image image = publish_with_sbom("web");
    const VerifiedImage verified = verify(region, image, trust, test::owner);
    const fs::path blob = verified.layer_paths(verified.manifest().block_devices[0]).at(0);
    std::string bytes = read_file(blob);
    bytes.back() = 'x';
    overwrite(blob, bytes);
    const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const Error error = test::error_of([&] { export_image(region, verified, fd.get(), silent); });
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("is damaged or was changed"));
}

} // namespace
} // namespace kiln::registry
