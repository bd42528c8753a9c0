// SPDX-License-Identifier: Apache-2.0
// Images to and from a remote registry: what is there is not moved again, what ended early goes on, and nothing comes
// in that the owner did not sign for the caller.
#include "registry/launch_statement.h"
#include "registry/remote/cosign.h"
#include "registry/remote/pull.h"
#include "registry/remote/push.h"
#include "registry/remote/referrers.h"
#include "signing/base64.h"
#include "tests/support/fake_registry.h"
#include "tests/unit/registry/region_fixture.h"

#include <atomic>

namespace kiln::registry::remote
{
namespace
{
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeRegistry;
using ::testing::Contains;
using ::testing::HasSubstr;
using Answer = FakeRegistry::Answer;
using Request = FakeRegistry::Request;

const std::string friend_account = "999999999999";
const Transfer silent{.transferred = [](ByteSize, ByteSize) {}};

class RemoteTransferTest : public test::RegionTest
{
protected:
    FakeRegistry fake;
    RemoteOptions options{.limits = {.connect = 2s,
                                     .document = 2s,
                                     .slowest = ByteSize(10'000),
                                     .slow_for = 1s,
                                     .silent_for = 2s,
                                     .attempts = 2,
                                     .first_pause = 1ms}};
    Region other{temporary.path() / "other", "other"};
    signing::SecretKey friend_key = signing::SecretKey::generate();
    Fetched fetched;

    Image publish_two_layers()
    {
        return region.publish(
            test::manifest_to_publish("web", {1, 0, 0}),
            {{"/dev/vda", layer("web" + std::string(400'000, '.'))}, {"/dev/vda", layer("web upper")}}, key,
            {{std::string(bundle::sbom_artifact_type), R"({"spdxVersion":"SPDX-2.3"})"}});
    }
    RemoteReference at(const std::string& suffix = "") const
    {
        return parse_remote_reference("oci://" + fake.host() + "/web" + suffix);
    }
    Pushed push(const Image& image, const std::string& suffix = "")
    {
        return push_image(region, verify(region, image, trust, test::owner), at(suffix), options,
                          {.account = test::owner, .key = key}, silent);
    }
    Image pull(const std::string& suffix, const std::string& caller = test::owner)
    {
        RemoteSource source(other, at(suffix), options, {});
        Image image = other.import_image(source, trust,
                                         {.account = caller, .key = caller == test::owner ? key : friend_key}, silent);
        fetched = source.fetched();
        return image;
    }
    Error refusal(const std::string& suffix, const std::string& caller = test::owner)
    {
        Error error = error_of([&] { static_cast<void>(pull(suffix, caller)); });
        EXPECT_TRUE(other.images().empty()) << error.what();
        EXPECT_TRUE(other.layout().find_all(bundle::ami_artifact_type).empty());
        EXPECT_TRUE(fs::is_empty(temporary.path() / "other/blobs/sha256")) << error.what();
        return error;
    }
    // The larger one.
    bundle::LayerReference first_layer(const Image& image) const
    {
        return region.load_manifest(image).block_devices.at(0).layers.at(0);
    }
    // The digest of the one envelope that says who may launch the image.
    std::string permission_envelope() const
    {
        for (const auto& [name, bytes] : fake.manifests) {
            if (name.starts_with("sha256:") && bytes.find("\"subject\"") != std::string::npos &&
                bytes.find(launch_artifact_type) != std::string::npos) {
                return parse_json(bytes, "manifest")["layers"][0]["digest"].get<std::string>();
            }
        }
        return {};
    }
    fs::path partial(const Digest& digest) const { return temporary.path() / "other/partial" / digest.hex(); }
};

constexpr const char* default_tag = ":web-1.0.0-x86_64";

TEST_F(RemoteTransferTest, GoesThereAndComesBackVerified)
{
    const Image image = publish_two_layers();
    const Pushed pushed = push(image);
    EXPECT_EQ("web-1.0.0-x86_64", pushed.reference.tag);
    EXPECT_GT(pushed.sent, image.stored_size);
    EXPECT_TRUE(pushed.by_tag);
    EXPECT_FALSE(pushed.for_cosign);
    EXPECT_THAT(pushed.without_cosign, HasSubstr("ECDSA P-256"));
    const Image back = pull(default_tag);
    EXPECT_NE(image.id, back.id);
    EXPECT_EQ(image.manifest, back.manifest);
    EXPECT_EQ(image.stored_size, fetched.fetched);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_EQ(parse_json(R"({"spdxVersion":"SPDX-2.3"})", "x"),
              other.attachment(back, bundle::sbom_artifact_type, trust));
    EXPECT_TRUE(fs::is_empty(temporary.path() / "other/partial"));
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { static_cast<void>(pull(default_tag)); }).kind());
}

TEST_F(RemoteTransferTest, TheTagComesLastAndTheManifestAfterItsBlobs)
{
    push(publish_two_layers(), ":latest");
    const std::vector<std::string> all = fake.requests();
    const auto place = [&](const std::string& beginning, bool last = false) {
        std::ptrdiff_t found = -1;
        for (std::size_t i = 0; i < all.size() && (found < 0 || last); ++i) {
            found = all[i].starts_with(beginning) ? static_cast<std::ptrdiff_t>(i) : found;
        }
        return found;
    };
    EXPECT_EQ(static_cast<std::ptrdiff_t>(all.size()) - 1, place("PUT /v2/web/manifests/latest"));
    EXPECT_LT(place("PUT /upload/1", false), place("PUT /v2/web/manifests/sha256:"));
    EXPECT_LT(place("PUT /v2/web/manifests/sha256:"), place("PUT /v2/web/manifests/sha256-"));
}

TEST_F(RemoteTransferTest, WhatIsThereIsNotSentAgain)
{
    const Image image = publish_two_layers();
    const Pushed first = push(image);
    fake.forget_requests();
    const Pushed second = push(image);
    EXPECT_EQ(ByteSize(), second.sent);
    EXPECT_EQ(first.sent, second.present);
    EXPECT_EQ(0, fake.count("POST "));
    EXPECT_EQ(2, fake.count("PUT ")); // the manifest, by digest and tag
}

TEST_F(RemoteTransferTest, ARegistryThatListsReferrersNeedsNoTagForThem)
{
    fake.lists_referrers = true;
    const Image image = publish_two_layers();
    EXPECT_FALSE(push(image).by_tag);
    EXPECT_FALSE(fake.manifests.contains(fallback_tag(image.manifest)));
    push(change(image, share_with({.accounts = {friend_account}})));
    trust.trust(friend_account, friend_key.public_key());
    const Image back = pull(default_tag, friend_account);
    EXPECT_TRUE(decide(other, back, trust, friend_account).passed());
    EXPECT_EQ(0, fake.count("GET /v2/web/manifests/" + fallback_tag(image.manifest)));
}

TEST_F(RemoteTransferTest, ATagOfItsOwnIsNotTakenFromAnotherImageAndAGivenOneMoves)
{
    const Image image = publish_two_layers();
    fake.manifests["web-1.0.0-x86_64"] = "{}";
    fake.manifests["latest"] = "{}";
    const Error error = error_of([&] { push(image); });
    EXPECT_EQ(ErrorKind::conflict, error.kind());
    EXPECT_EQ(0, fake.count("POST "));
    push(image, ":latest");
    EXPECT_EQ(image.manifest, digest_of(fake.manifests["latest"]));
    EXPECT_EQ(ErrorKind::usage, error_of([&] { push(image, "@" + image.manifest.to_string()); }).kind());
    EXPECT_EQ(image.manifest, pull("@" + image.manifest.to_string()).manifest);
}

TEST_F(RemoteTransferTest, LayersThatTheRegionHasAreNotFetched)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    fs::copy_file(region.layout().blob_path(layer.digest), other.layout().blob_path(layer.digest));
    static_cast<void>(pull(default_tag));
    EXPECT_EQ(layer.size, fetched.present);
    EXPECT_EQ(0, fake.count("GET /v2/web/blobs/" + layer.digest.to_string()));
}

TEST_F(RemoteTransferTest, ADamagedLayerThatTheRegionHasIsFetched)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    overwrite(other.layout().blob_path(layer.digest), std::string(layer.size.bytes(), 'x'));
    const Image back = pull(default_tag);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
}

TEST_F(RemoteTransferTest, Attack25_APullBringsBackWhatARecordedImageLost)
{
    const Image image = publish_two_layers();
    push(image);
    const Image here = pull(default_tag);
    const auto lost = {first_layer(image).digest, here.manifest};
    for (const Digest& digest : lost) {
        fs::remove(other.layout().blob_path(digest));
    }
    EXPECT_FALSE(decide(other, here, trust, test::owner).passed());
    const Image again = pull(default_tag);
    EXPECT_EQ(here.id, again.id);
    EXPECT_EQ(first_layer(image).size, fetched.fetched);
    EXPECT_EQ(1U, other.images().size());
    EXPECT_TRUE(decide(other, here, trust, test::owner).passed());
    const auto log = other.audit_log(trust);
    EXPECT_EQ("restore", log.back().action);
    EXPECT_EQ(here.id, log.back().image);
    // Whole again: there is nothing more to bring.
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { static_cast<void>(pull(default_tag)); }).kind());
}

TEST_F(RemoteTransferTest, Attack33_ACutPullGoesOnAndEverythingIsHashed)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    const std::string whole = fake.blobs.at(layer.digest.to_string());
    const std::string path = "/v2/web/blobs/" + layer.digest.to_string();
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.method == "GET" && request.path == path && request.header("Range").empty()
                   ? std::optional(Answer{.body = whole.substr(0, 100'000), .length = whole.size()})
               : request.path == path ? std::optional(Answer{.status = 503})
                                      : std::nullopt;
    });
    EXPECT_EQ(ErrorKind::network, refusal(default_tag).kind());
    EXPECT_EQ(100'000U, fs::file_size(partial(layer.digest)));
    fake.set_hook(nullptr);
    const Image back = pull(default_tag);
    EXPECT_GE(fetched.resumed, ByteSize(100'000)); // and the other layer, if it came
    EXPECT_EQ(image.stored_size, fetched.resumed + fetched.fetched);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
}

TEST_F(RemoteTransferTest, Attack33_APartThatWasChangedMeanwhileIsFetchedAnew)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    fs::create_directories(partial(layer.digest).parent_path());
    overwrite(partial(layer.digest), std::string(100'000, 'x'));
    const Image back = pull(default_tag);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_EQ(ByteSize(), fetched.resumed);
}

TEST_F(RemoteTransferTest, Attack33_AConnectionThatBreaksIsGoneOnWithAtOnce)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    const std::string whole = fake.blobs.at(layer.digest.to_string());
    std::atomic<int> asked = 0;
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.path.ends_with(layer.digest.to_string()) && ++asked == 1
                   ? std::optional(Answer{.body = whole.substr(0, 100'000), .length = whole.size()})
                   : std::nullopt;
    });
    static_cast<void>(pull(default_tag));
    EXPECT_EQ(2, asked);
    EXPECT_EQ(image.stored_size, fetched.fetched);
}

TEST_F(RemoteTransferTest, Attack33_ALayerThatNeverEndsStopsAtItsSignedSize)
{
    const Image image = publish_two_layers();
    push(image);
    const bundle::LayerReference layer = first_layer(image);
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        if (!request.path.ends_with(layer.digest.to_string())) {
            return std::nullopt;
        }
        return Answer{.raw = [](int connection, const std::stop_token& stop) {
            test::TcpServer::send(connection, "HTTP/1.1 200 OK\r\n\r\n");
            while (!stop.stop_requested() && test::TcpServer::send(connection, std::string(65536, 'x'))) {
            }
        }};
    });
    const Error error = refusal(default_tag);
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("it sends more for the layer"));
    EXPECT_LE(fs::file_size(partial(layer.digest)), layer.size.bytes());
}

TEST_F(RemoteTransferTest, Attack10_OneBitInAnythingThatComesFails)
{
    const Image image = publish_two_layers();
    push(image);
    const std::string address = "@" + image.manifest.to_string();
    const std::string permission_blob = permission_envelope();
    for (auto* kept : {&fake.blobs, &fake.manifests}) {
        for (auto& [name, bytes] : *kept) {
            // A launch permission that is damaged is as good as none.
            const bool permission = name == permission_blob || bytes.find(launch_artifact_type) != std::string::npos;
            if (name.starts_with("sha256:") && bytes != "{}" && !permission) {
                bytes[bytes.size() / 2] ^= 1;
                fs::remove_all(temporary.path() / "other/partial"); // a layer that came whole before would be taken
                const Error error = refusal(address);
                EXPECT_EQ(ErrorKind::untrusted, error.kind()) << name << ": " << error.what();
                bytes[bytes.size() / 2] ^= 1;
            }
        }
    }
    static_cast<void>(pull(address));
}

TEST_F(RemoteTransferTest, WhatIsNoAmiIsRefused)
{
    fake.manifests["docker"] =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";
    fake.manifests["html"] = "<html>";
    EXPECT_EQ(ErrorKind::untrusted, refusal(":docker").kind());
    EXPECT_EQ(ErrorKind::untrusted, refusal(":html").kind());
    EXPECT_EQ(ErrorKind::not_found, refusal(":nothing").kind());
    EXPECT_EQ(ErrorKind::usage, refusal("").kind());
}

TEST_F(RemoteTransferTest, Attack22_OnlyWhomItIsSharedWithMayPullIt)
{
    const Image image = publish_two_layers();
    push(image);
    Error error = refusal(default_tag, friend_account);
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_EQ(0, fake.count("GET /v2/web/blobs/" + first_layer(image).digest.to_string()));

    push(change(image, share_with({.accounts = {friend_account}})));
    trust.trust(friend_account, friend_key.public_key());
    const Image back = pull(default_tag, friend_account);
    EXPECT_EQ(friend_account, back.holder);
    EXPECT_TRUE(back.launch_accounts.empty());
    EXPECT_TRUE(decide(other, back, trust, friend_account).passed());
}

TEST_F(RemoteTransferTest, Attack22_OneThatItIsNotSharedWithAnyMoreIsRefused)
{
    const Image image = publish_two_layers();
    push(change(image, share_with({.accounts = {friend_account}})));
    push(change(image, unshare_with({.accounts = {friend_account}})));
    EXPECT_EQ(ErrorKind::permission_denied, refusal(default_tag, friend_account).kind());
}

TEST_F(RemoteTransferTest, Attack22_APermissionThatTheOwnerDidNotSignCountsForNothing)
{
    Image image = publish_two_layers();
    push(image);
    image.launch_public = true;
    const std::string envelope = sign_launch_statement(image, "2099-01-01T00:00:00Z", friend_key);
    const std::string manifest = bundle::attached_oci_manifest(
        launch_artifact_type, {std::string(bundle::dsse_type), digest_of(envelope), ByteSize(envelope.size())},
        {std::string(bundle::oci_manifest_type), image.manifest,
         ByteSize(fake.manifests.at(image.manifest.to_string()).size())});
    fake.blobs[digest_of(envelope).to_string()] = envelope;
    fake.manifests[digest_of(manifest).to_string()] = manifest;
    const std::string tag = fallback_tag(image.manifest);
    Json index = parse_json(fake.manifests.at(tag), "index");
    index["manifests"].push_back({{"mediaType", bundle::oci_manifest_type},
                                  {"digest", digest_of(manifest).to_string()},
                                  {"size", manifest.size()},
                                  {"artifactType", launch_artifact_type}});
    fake.manifests[tag] = index.dump();
    EXPECT_EQ(ErrorKind::permission_denied, refusal(default_tag, friend_account).kind());
    static_cast<void>(pull(default_tag));
}

TEST(LaunchStatementTest, TheNewestOneCounts)
{
    const signing::SecretKey key = signing::SecretKey::generate();
    const std::vector keys{key.public_key()};
    Image image{.id = {},
                .name = "web",
                .version = {1, 0, 0},
                .architecture = {},
                .description = {},
                .owner = {},
                .manifest = digest_of("web"),
                .created = {},
                .virtual_size = {},
                .stored_size = {},
                .recipe = {}};
    const std::string none = sign_launch_statement(image, "2026-11-25T00:00:00Z", key);
    image.launch_accounts = {"111111111111", "222222222222"};
    const std::string two = sign_launch_statement(image, "2026-11-26T00:00:00Z", key);
    const auto newest = [&](const std::vector<std::string>& envelopes) {
        const auto found = newest_launch_statement(envelopes, digest_of("web"), keys);
        return found ? static_cast<int>(found->accounts.size()) : -1;
    };
    EXPECT_EQ(2, newest({none, two}));
    EXPECT_EQ(2, newest({two, none, "{}", "", "[1"}));
    EXPECT_EQ(0, newest({none}));
    image.launch_accounts.clear();
    image.last_event = 7;
    const std::string in_the_same_second = sign_launch_statement(image, "2026-11-26T00:00:00Z", key);
    EXPECT_EQ(0, newest({in_the_same_second, two}));
    EXPECT_EQ(0, newest({two, in_the_same_second}));
    EXPECT_EQ(-1, newest({}));
    EXPECT_EQ(std::nullopt, newest_launch_statement(std::vector{two}, digest_of("other"), keys));
    image.launch_accounts = {"222222222222", "111111111111"};
    EXPECT_EQ(-1, newest({sign_launch_statement(image, "2026-11-26T00:00:00Z", key)}));
    EXPECT_EQ(-1, newest({sign_launch_statement(image, "tomorrow", key)}));
}

class CosignTest : public RemoteTransferTest
{
protected:
    CosignTest()
    {
        key = signing::SecretKey::generate(signing::KeyType::ecdsa_p256);
        trust.trust(test::owner, key.public_key());
    }
};

TEST_F(CosignTest, AP256KeySignsForOtherToolsInBothForms)
{
    const Image image = publish_two_layers();
    EXPECT_TRUE(push(image).for_cosign);
    const Json manifest = parse_json(fake.manifests.at("sha256-" + image.manifest.hex() + ".sig"), "manifest");
    ASSERT_EQ(1U, manifest["layers"].size());
    const Json& layer = manifest["layers"][0];
    EXPECT_EQ("application/vnd.dev.cosign.simplesigning.v1+json", layer["mediaType"]);
    const std::string payload = fake.blobs.at(layer["digest"].get<std::string>());
    EXPECT_EQ(R"({"critical":{"identity":{"docker-reference":")" + fake.host() +
                  R"(/web"},"image":{"docker-manifest-digest":")" + image.manifest.to_string() +
                  R"("},"type":"cosign container image signature"},"optional":null})",
              payload);
    EXPECT_TRUE(key.public_key().verify(
        payload,
        signing::parse_base64(layer["annotations"]["dev.cosignproject.cosign/signature"].get<std::string>()).value()));
    const Json index = parse_json(fake.manifests.at(fallback_tag(image.manifest)), "index");
    std::vector<std::string> types;
    for (const Json& entry : index["manifests"]) {
        types.push_back(entry["artifactType"].get<std::string>());
    }
    EXPECT_THAT(types, ::testing::UnorderedElementsAre(bundle::signature_artifact_type, bundle::sbom_artifact_type,
                                                       launch_artifact_type, sigstore_bundle_type));
    fake.forget_requests();
    push(image);
    EXPECT_EQ(2, fake.count("PUT ")); // signed once
}

TEST_F(CosignTest, SignaturesOfOthersStay)
{
    const signing::SecretKey others = signing::SecretKey::generate(signing::KeyType::ecdsa_p256);
    const Image image = publish_two_layers();
    const std::string payload = simple_signing_payload(at().name(), image.manifest);
    const Json layers = with_signature(Json::array(), payload, others).value();
    fake.manifests[signature_tag(image.manifest)] = signature_manifest(layers, signature_config(layers));
    push(image);
    EXPECT_EQ(2U, parse_json(fake.manifests.at(signature_tag(image.manifest)), "manifest")["layers"].size());
}

TEST_F(CosignTest, ABundleIsAboutOneImageByOneKey)
{
    const std::string bundle = sigstore_bundle(digest_of("web"), key);
    EXPECT_TRUE(is_sigstore_bundle(bundle, digest_of("web"), key.public_key()));
    EXPECT_FALSE(is_sigstore_bundle(bundle, digest_of("other"), key.public_key()));
    EXPECT_FALSE(is_sigstore_bundle(bundle, digest_of("web"), friend_key.public_key()));
    EXPECT_FALSE(is_sigstore_bundle("{}", digest_of("web"), key.public_key()));
    const Json json = parse_json(bundle, "bundle");
    EXPECT_EQ(44U, json["verificationMaterial"]["publicKey"]["hint"].get<std::string>().size());
}

} // namespace
} // namespace kiln::registry::remote
