// SPDX-License-Identifier: Apache-2.0
// Who may sign what: revoked and replaced keys, the policy file, thresholds, and the way around signatures.
#include "signing/key_statement.h"
#include "signing/statement.h"
#include "tests/unit/registry/region_fixture.h"

#include "core/timestamp.h"

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using From = signing::TrustStore::From;

class TrustDecisionTest : public test::RegionTest
{
protected:
    Image image = publish("web", {1, 0, 0});

    std::string id(const signing::SecretKey& of) const { return of.public_key().key_id(); }
    // One more signature about the image, with its key id as `claimed`.
    void sign_also(const signing::SecretKey& with, const std::string& signed_at = iso_now(),
                   const std::string& claimed = {}) const
    {
        std::string envelope =
            signing::sign_envelope(signing::in_toto_payload_type,
                                   signing::statement_payload({image.name, image.version, image.architecture,
                                                               image.manifest, image.owner, signed_at}),
                                   with);
        if (!claimed.empty()) {
            Json json = parse_json(envelope, "x");
            json["signatures"][0]["keyid"] = claimed;
            envelope = canonical_json(json);
        }
        attach_here(envelope);
    }
    void attach_here(const std::string& envelope) const { attach(envelope, manifest_of(image)); }
    void policy(const Json& rules, const std::string& others = "trusted") const
    {
        write_file_durably(temporary.path() / "trust/policy.json",
                           Json{{"kiln_policy", 1}, {"others", others}, {"rules", rules}}.dump());
    }
    void revoke(const std::optional<std::string>& since = std::nullopt) const
    {
        static_cast<void>(trust.apply(signing::sign_revocation({.account = test::owner,
                                                                .key = id(key),
                                                                .reason = "the laptop was stolen",
                                                                .since = since,
                                                                .by = test::owner,
                                                                .at = "2026-11-23T17:44:58Z"},
                                                               key),
                                      From::outside));
    }
    void expect_refused(const std::string& part) const
    {
        const Error error = verdict(image);
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_THAT(error.message(), HasSubstr(part));
    }
    VerifiedImage verified_unsigned() const
    {
        return verify(region, image, trust, test::owner, {.unsigned_images = Unsigned::allow});
    }
    Error refusal_of_unsigned() const
    {
        return test::error_of([&] { static_cast<void>(verified_unsigned()); });
    }
};

TEST_F(TrustDecisionTest, Attack21_ARevokedKeyFailsForNewAndOldImages)
{
    revoke();
    const std::string part = "was revoked at 2026-11-23T17:44:58Z: the laptop was stolen";
    expect_refused("signature: its key " + id(key).substr(0, 19) + " " + part);
    image = publish("web", {1, 1, 0});
    expect_refused(part);
    EXPECT_THAT(refusal_of_unsigned().message(), HasSubstr(part)); // no way around it
    // What another key of the account signed as well is good, but for its events, which the revoked key signed.
    const signing::SecretKey other = signing::SecretKey::generate(signing::KeyType::ecdsa_p256);
    trust.trust(test::owner, other.public_key());
    sign_also(other);
    expect_refused("events: ");
    expect_refused("is not signed by a key that is trusted for account");
}

TEST_F(TrustDecisionTest, Attack21_ARevocationWithATimeKeepsWhatWasSignedBefore)
{
    revoke("2099-01-01T00:00:00Z");
    EXPECT_EQ("verified", verdict(image).message());
    forget_signatures();
    sign_also(key, "2099-01-01T00:00:00Z");
    expect_refused("for what it signed since 2099-01-01T00:00:00Z");
    forget_signatures();
    sign_also(key, "sometime");
    expect_refused("for what it signed since 2099-01-01T00:00:00Z");
}

TEST_F(TrustDecisionTest, Attack21_RotationKeepsOldImagesWhenTheNewKeySaysSo)
{
    const signing::SecretKey next = signing::SecretKey::generate();
    const auto rotation = [&](bool keeps) {
        return signing::sign_rotation({test::owner, id(key), next.public_key(), keeps, iso_now()}, key, next);
    };
    static_cast<void>(trust.apply(rotation(true), From::outside));
    EXPECT_EQ("verified", verdict(image).message());
    forget_signatures();
    sign_also(key, "2099-01-01T00:00:00Z");
    expect_refused("may sign nothing after that");
    sign_also(next);
    EXPECT_EQ("verified", verdict(image).message());

    fs::remove(temporary.path() / "trust" / test::owner / (id(key).substr(7) + ".rotation.json"));
    static_cast<void>(trust.apply(rotation(false), From::outside));
    forget_signatures();
    sign_also(key, "2026-01-01T00:00:00Z");
    expect_refused("which does not vouch for what it signed");
}

TEST_F(TrustDecisionTest, ThePolicySaysWhoseNamesTheseAre)
{
    policy({{{"names", {"web*"}}, {"accounts", {"999999999999"}}}});
    expect_refused("policy: rule 1 (web*) is for account 999999999999, not for 123456789012");
    policy({{{"names", {"database"}}, {"accounts", {"999999999999"}}}});
    EXPECT_EQ("verified", verdict(image).message());
    policy({{{"names", {"database"}}, {"accounts", {"999999999999"}}}}, "refuse");
    expect_refused("policy: no rule covers this name, and others are refused");
    policy({{{"names", {"web"}}, {"accounts", {test::owner}}, {"keys", {"sha256:" + std::string(64, '0')}}}});
    expect_refused("policy: rule 1 (web) wants 1 of 1 keys; 0 signed it");
}

TEST_F(TrustDecisionTest, ADamagedPolicyRefusesEverything)
{
    write_file_durably(temporary.path() / "trust/policy.json", R"({"kiln_policy": 1, "rules": [{"names": "web"}]})");
    expect_refused("policy: ");
    EXPECT_THAT(verdict(image).message(), HasSubstr("policy.json: rules[0].names: "));
    EXPECT_EQ(std::vector<std::string>{"policy"}, failed(image));
}

TEST_F(TrustDecisionTest, Attack18_OneKeyIsNoThresholdOfTwo)
{
    policy({{{"names", {"web"}}, {"accounts", {test::owner}}, {"threshold", 2}}});
    expect_refused("policy: rule 1 (web) wants 2 of the owner's trusted keys; 1 signed it");
    // Once more, under another id, in another envelope, at another time.
    sign_also(key, iso_now(), "sha256:" + std::string(64, 'a'));
    sign_also(key, "2026-11-23T17:44:58Z", "another");
    expect_refused("1 signed it");
    // The same signature twice in one envelope.
    Json twice =
        parse_json(signing::sign_envelope(signing::in_toto_payload_type,
                                          signing::statement_payload({image.name, image.version, image.architecture,
                                                                      image.manifest, image.owner, iso_now()}),
                                          key),
                   "x");
    twice["signatures"].push_back(twice["signatures"][0]);
    twice["signatures"][1]["keyid"] = "another";
    attach_here(canonical_json(twice));
    expect_refused("1 signed it");
    // A key that is not trusted does not count, nor does a signature about another version.
    sign_also(signing::SecretKey::generate());
    const signing::SecretKey second = signing::SecretKey::generate(signing::KeyType::ecdsa_p256);
    trust.trust(test::owner, second.public_key());
    attach_here(signing::sign_envelope(
        signing::in_toto_payload_type,
        signing::statement_payload({image.name, {1, 0, 1}, image.architecture, image.manifest, image.owner, iso_now()}),
        second));
    expect_refused("1 signed it");
    sign_also(second);
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(TrustDecisionTest, Attack18_ARevokedKeyIsNoPartOfAThreshold)
{
    policy({{{"names", {"web"}}, {"accounts", {test::owner}}, {"threshold", 2}}});
    const signing::SecretKey second = signing::SecretKey::generate();
    trust.trust(test::owner, second.public_key());
    sign_also(second);
    EXPECT_EQ("verified", verdict(image).message());
    revoke();
    expect_refused("1 signed it");
}

TEST_F(TrustDecisionTest, Attack19_ASwappedKeyIdChangesNoVerdict)
{
    const signing::SecretKey second = signing::SecretKey::generate();
    trust.trust(test::owner, second.public_key());
    policy({{{"names", {"web"}}, {"accounts", {test::owner}}, {"keys", {id(second)}}}});
    sign_also(key, iso_now(), id(second)); // it says that it is the other key's
    expect_refused("wants 1 of 1 keys; 0 signed it");
    sign_also(second, iso_now(), id(key));
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(TrustDecisionTest, Attack13_TheWayAroundIsExplicitAndRecorded)
{
    EXPECT_FALSE(verified_unsigned().unsigned_reason()); // a signed image stays one
    forget_signatures();
    expect_refused("signature: it is unsigned");
    EXPECT_EQ("it is unsigned", verified_unsigned().unsigned_reason());
    sign_also(signing::SecretKey::generate());
    EXPECT_THAT(verified_unsigned().unsigned_reason().value(), HasSubstr("not signed by a key that is trusted"));
}

TEST_F(TrustDecisionTest, Attack13_TheWayAroundIsForSignaturesOnly)
{
    forget_signatures();
    const auto manifest = region.load_manifest(image);
    const fs::path blob = region.layout().blob_path(manifest.block_devices[0].layers[0].digest);
    const std::string good = read_file(blob);
    overwrite(blob, good.substr(0, good.size() - 1) + "x");
    EXPECT_THAT(refusal_of_unsigned().message(), HasSubstr("disk /dev/vda layer 1"));
    overwrite(blob, good);
    static_cast<void>(change(image, disable()));
    EXPECT_EQ(ErrorKind::permission_denied, refusal_of_unsigned().kind());
    static_cast<void>(change(image, enable()));
    EXPECT_EQ("no error", refusal_of_unsigned().message());
    // A trusted key signed it, as something else.
    attach_here(signing::sign_envelope(
        signing::in_toto_payload_type,
        signing::statement_payload({"webb", image.version, image.architecture, image.manifest, image.owner, iso_now()}),
        key));
    EXPECT_THAT(refusal_of_unsigned().message(), HasSubstr("signed statement: it says name webb"));
    forget_signatures();
    policy({{{"names", {"web"}}, {"accounts", {test::owner}}}});
    EXPECT_THAT(refusal_of_unsigned().message(), HasSubstr("--allow-unsigned does not go against the policy file"));
    policy(Json::array(), "refuse");
    EXPECT_THAT(refusal_of_unsigned().message(), HasSubstr("--allow-unsigned does not go against the policy file"));
}

} // namespace
} // namespace kiln::registry
