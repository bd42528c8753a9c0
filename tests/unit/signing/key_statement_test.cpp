// SPDX-License-Identifier: Apache-2.0
// Rotation and revocation: the signed statements, and what the trust store makes of them.
#include "signing/key_statement.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/timestamp.h"
#include "signing/account.h"
#include "signing/base64.h"
#include "signing/dsse.h"
#include "signing/trust_store.h"
#include "tests/support/golden.h"
#include "tests/unit/signing/account_home.h"
#include "tests/unit/signing/test_keys.h"

#include <gmock/gmock.h>

#include <functional>

namespace kiln::signing
{
namespace
{
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using From = TrustStore::From;

const std::string alice = "111111111111";
const std::string bob = "222222222222";
const std::string before = "2026-11-01T00:00:00Z";
const std::string now = "2026-11-23T17:44:58Z";
const std::string after = "2026-12-01T00:00:00Z";

Error error_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    return {ErrorKind::internal, "no error"};
}

class KeyStatementTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    TrustStore store{folder.path() / "trust"};
    SecretKey old_key = SecretKey::generate();
    SecretKey new_key = SecretKey::generate(KeyType::ecdsa_p256);

    KeyStatementTest() { store.trust(alice, old_key.public_key()); }

    Rotation rotation(bool keeps_images = true) const
    {
        return {alice, old_key.public_key().key_id(), new_key.public_key(), keeps_images, now};
    }
    Revocation revocation() const
    {
        return {alice, old_key.public_key().key_id(), "the laptop was stolen", std::nullopt, alice, now};
    }
    std::optional<std::string> refusal(const std::string& signed_at) const
    {
        return store.find(old_key.public_key().key_id()).trusted.refusal(signed_at);
    }
    // The payload after `change`, signed anew by `keys`.
    static std::string changed(const std::string& envelope, const std::vector<SecretKey>& keys,
                               const std::function<void(Json&)>& change)
    {
        Json payload = parse_json(*parse_base64(parse_json(envelope, "x")["payload"].get<std::string>()), "x");
        change(payload);
        return sign_envelope(in_toto_payload_type, canonical_json(payload), keys);
    }
};

TEST_F(KeyStatementTest, AreTheirGoldenFiles)
{
    const char* const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const char* const other_seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const SecretKey first = test::secret_key_of_seed(seed, folder.path() / "one.pem");
    const SecretKey second = test::secret_key_of_seed(other_seed, folder.path() / "two.pem");
    test::expect_golden(
        "signing/rotation.json",
        sign_rotation({alice, first.public_key().key_id(), second.public_key(), true, now}, first, second) + "\n");
    test::expect_golden(
        "signing/revocation.json",
        sign_revocation({alice, first.public_key().key_id(), "the laptop was stolen", before, alice, now}, second) +
            "\n");
}

TEST_F(KeyStatementTest, ARotationIsReadAsItWasSigned)
{
    const Rotation read =
        verify_rotation(sign_rotation(rotation(false), old_key, new_key), alice, old_key.public_key());
    EXPECT_EQ(new_key.public_key().key_id(), read.new_key.key_id());
    EXPECT_FALSE(read.keeps_images);
    EXPECT_EQ(now, read.at);
}

TEST_F(KeyStatementTest, ARotationNeedsBothKeys)
{
    const auto complaint = [&](const std::string& envelope, const std::string& account = alice) {
        const Error error =
            error_of([&] { static_cast<void>(verify_rotation(envelope, account, old_key.public_key())); });
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        return error.message();
    };
    const SecretKey thief = SecretKey::generate();
    EXPECT_EQ("key statement: the key that it is about did not sign it",
              complaint(sign_rotation(rotation(), thief, new_key)));
    EXPECT_EQ("key statement: the new key did not sign it", complaint(sign_rotation(rotation(), old_key, thief)));
    const std::string good = sign_rotation(rotation(), old_key, new_key);
    EXPECT_EQ("key statement: it is about another key", complaint(good, bob));
    const std::vector<SecretKey> both{old_key, new_key};
    EXPECT_THAT(complaint(changed(good, both, [](Json& json) { json["predicate"]["more"] = 1; })),
                HasSubstr("fields that this version of Kiln does not know"));
    EXPECT_THAT(complaint(changed(good, both, [](Json& json) { json["predicate"]["at"] = "soon"; })),
                HasSubstr("\"at\" is not a time"));
    EXPECT_THAT(complaint(sign_revocation(revocation(), old_key)), HasSubstr("it is not of type"));
    Rotation itself = rotation();
    itself.new_key = old_key.public_key();
    EXPECT_EQ("key statement: a key can't follow itself", complaint(sign_rotation(itself, old_key, old_key)));
}

TEST_F(KeyStatementTest, ARevocationIsReadAsItWasSigned)
{
    const std::vector keys{old_key.public_key()};
    const Revocation read = verify_revocation(sign_revocation(revocation(), old_key), keys);
    EXPECT_EQ("the laptop was stolen", read.reason);
    EXPECT_FALSE(read.since);
    const auto complaint = [&](const std::string& envelope) {
        return error_of([&] { static_cast<void>(verify_revocation(envelope, keys)); }).message();
    };
    EXPECT_THAT(complaint(sign_revocation(revocation(), new_key)), HasSubstr("no key that is trusted for the account"));
    const std::string good = sign_revocation(revocation(), old_key);
    EXPECT_THAT(complaint(changed(good, {old_key}, [](Json& json) { json["predicate"]["reason"] = "a\x1b[2J"; })),
                HasSubstr("holds control characters"));
    EXPECT_THAT(complaint(changed(good, {old_key}, [](Json& json) { json["predicate"]["since"] = "x"; })),
                HasSubstr("\"since\" is not a time"));
    EXPECT_THAT(complaint(changed(good, {old_key}, [](Json& json) { json["predicate"]["by"] = "../.."; })),
                HasSubstr("\"by\" is not an account"));
}

TEST_F(KeyStatementTest, Attack21_ARotationKeepsOldImagesWhenTheNewKeySaysSo)
{
    const KeyStatementClaim claim = store.apply(sign_rotation(rotation(), old_key, new_key), From::outside);
    EXPECT_EQ(alice, claim.account);
    EXPECT_EQ(2U, store.keys_of(alice).size());
    EXPECT_EQ(std::nullopt, refusal(before));
    EXPECT_THAT(refusal(after).value(), HasSubstr("and may sign nothing after that"));
    EXPECT_THAT(refusal("whenever").value(), HasSubstr("and may sign nothing after that"));
    EXPECT_EQ(std::nullopt, store.find(new_key.public_key().key_id()).trusted.refusal(after));
}

TEST_F(KeyStatementTest, Attack21_ARotationThatDoesNotVouchRefusesOldImages)
{
    static_cast<void>(store.apply(sign_rotation(rotation(false), old_key, new_key), From::outside));
    EXPECT_THAT(refusal(before).value(), HasSubstr("which does not vouch for what it signed"));
    ASSERT_EQ(1U, store.keys_of(alice).size());
    EXPECT_EQ(new_key.public_key().key_id(), store.keys_of(alice)[0].key_id());
}

TEST_F(KeyStatementTest, Attack21_ARevokedKeyIsRefusedForAllWithTheReason)
{
    static_cast<void>(store.apply(sign_revocation(revocation(), old_key), From::outside));
    for (const std::string& time : {before, now, after, std::string("whenever")}) {
        EXPECT_THAT(refusal(time).value(), HasSubstr("was revoked at " + now + ": the laptop was stolen"));
    }
    EXPECT_TRUE(store.keys_of(alice).empty());
    // A key that is revoked names no other one any more.
    const Error error =
        error_of([&] { static_cast<void>(store.apply(sign_rotation(rotation(), old_key, new_key), From::outside)); });
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("was revoked, and can't name another one: the laptop was stolen"));
    EXPECT_EQ(1U, store.all_keys_of(alice).size());
}

TEST_F(KeyStatementTest, Attack21_ARevocationWithATimeKeepsWhatCameBefore)
{
    Revocation since = revocation();
    since.since = now;
    static_cast<void>(store.apply(sign_revocation(since, old_key), From::outside));
    EXPECT_EQ(std::nullopt, refusal(before));
    EXPECT_THAT(refusal(now).value(), HasSubstr("for what it signed since " + now + ": the laptop was stolen"));
    EXPECT_TRUE(refusal(after));
    EXPECT_TRUE(refusal("0"));
    EXPECT_TRUE(store.keys_of(alice).empty()); // of documents that say no time
}

TEST_F(KeyStatementTest, AnotherAccountHasNoSayFromOutside)
{
    const SecretKey key_of_bob = SecretKey::generate();
    store.trust(bob, key_of_bob.public_key());
    Revocation foreign = revocation();
    foreign.by = bob;
    const std::string envelope = sign_revocation(foreign, key_of_bob);
    const Error error = error_of([&] { static_cast<void>(store.apply(envelope, From::outside)); });
    EXPECT_EQ("account 222222222222 has no say about the keys of account 111111111111", error.message());
    EXPECT_EQ(std::nullopt, refusal(now));
    // Bob's key, and the claim that it was alice's account.
    EXPECT_EQ(ErrorKind::untrusted,
              error_of([&] {
                  static_cast<void>(store.apply(sign_revocation(revocation(), key_of_bob), From::outside));
              }).kind());
    static_cast<void>(store.apply(envelope, From::this_home));
    EXPECT_THAT(refusal(now).value(), HasSubstr("the laptop was stolen"));
}

TEST_F(KeyStatementTest, WhatIsDamagedIsNeverAsGoodAsNothing)
{
    static_cast<void>(store.apply(sign_revocation(revocation(), old_key), From::outside));
    const fs::path file =
        folder.path() / "trust" / alice / (old_key.public_key().key_id().substr(7) + ".revocation.json");
    for (const std::string& text : {std::string(), std::string("{}"), sign_revocation(revocation(), new_key),
                                    sign_rotation(rotation(), old_key, new_key)}) {
        write_file_durably(file, text);
        const Error error = error_of([&] { static_cast<void>(store.keys_of(alice)); });
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_THAT(error.message(), HasSubstr(file.native() + " is damaged"));
    }
    // The revocation of another key of the same account.
    store.trust(alice, new_key.public_key());
    Revocation other = revocation();
    other.key = new_key.public_key().key_id();
    write_file_durably(file, sign_revocation(other, old_key));
    EXPECT_THAT(error_of([&] { static_cast<void>(store.keys_of(alice)); }).message(), HasSubstr("about another key"));
}

TEST_F(KeyStatementTest, IsAppliedOnceAndOnlyToKnownKeys)
{
    const std::string envelope = sign_revocation(revocation(), old_key);
    static_cast<void>(store.apply(envelope, From::outside));
    EXPECT_NO_THROW(static_cast<void>(store.apply(envelope, From::outside)));
    Revocation milder = revocation();
    milder.since = after;
    EXPECT_EQ(ErrorKind::conflict, error_of([&] {
                                       static_cast<void>(store.apply(sign_revocation(milder, old_key), From::outside));
                                   }).kind());
    Revocation unknown = revocation();
    unknown.key = new_key.public_key().key_id();
    EXPECT_EQ(
        ErrorKind::not_found,
        error_of([&] { static_cast<void>(store.apply(sign_revocation(unknown, old_key), From::outside)); }).kind());
}

TEST_F(KeyStatementTest, AKeyIsFoundByTheBeginningOfItsId)
{
    const std::string id = old_key.public_key().key_id();
    EXPECT_EQ(alice, store.find(id).account);
    EXPECT_EQ(alice, store.find(id.substr(7)).account);
    EXPECT_EQ(alice, store.find(id.substr(7, 8)).account);
    EXPECT_EQ(ErrorKind::not_found, error_of([&] { static_cast<void>(store.find(id.substr(7, 7))); }).kind());
    EXPECT_EQ(ErrorKind::not_found, error_of([&] { static_cast<void>(store.find("")); }).kind());
    store.trust(bob, old_key.public_key());
    EXPECT_EQ(ErrorKind::usage, error_of([&] { static_cast<void>(store.find(id)); }).kind());
}

class RotateAccountTest : public test::AccountHome
{
protected:
    Account account = ensure_account(paths);
    SecretKey old_key = load_account_key(paths, nullptr);
    SecretKey new_key = SecretKey::generate(KeyType::ecdsa_p256);
    TrustStore store{paths.trust};
};

TEST_F(RotateAccountTest, TheNewKeySignsAndTheOldOneIsReplaced)
{
    const std::string envelope =
        rotate_account_key(paths, {.old_key = old_key, .new_key = new_key, .passphrase = "secret"});
    EXPECT_EQ(account.id, find_account(paths)->id);
    EXPECT_EQ(new_key.public_key().key_id(), find_account(paths)->key.key_id());
    EXPECT_THROW(static_cast<void>(load_account_key(paths, nullptr)), Error); // encrypted
    const SecretKey loaded = load_account_key(paths, [] { return std::string("secret"); });
    EXPECT_EQ(new_key.public_key().key_id(), loaded.public_key().key_id());
    EXPECT_TRUE(store.find(account.key.key_id()).trusted.rotated);
    EXPECT_FALSE(fs::exists(paths.account / "rotation.json"));
    // Another home that trusts the old key takes the statement.
    const TrustStore elsewhere(folder.path() / "elsewhere");
    elsewhere.trust(account.id, account.key);
    static_cast<void>(elsewhere.apply(envelope, From::outside));
    EXPECT_EQ(2U, elsewhere.all_keys_of(account.id).size());
}

TEST_F(RotateAccountTest, AKilledRotationIsFinishedOrForgotten)
{
    const std::string envelope = rotate_account_key(paths, {.old_key = old_key, .new_key = new_key, .passphrase = ""});
    const fs::path statement = paths.trust / account.id / (account.key.key_id().substr(7) + ".rotation.json");
    const fs::path pending = paths.account / "rotation.json";
    // Killed before the statement came into the trust store: whoever loads the key finishes it.
    fs::remove(statement);
    write_file_durably(pending, envelope, 0600);
    static_cast<void>(load_account_key(paths, nullptr));
    EXPECT_TRUE(fs::exists(statement));
    EXPECT_FALSE(fs::exists(pending));
    // Killed before the record had the new key: the old one goes on.
    fs::remove(statement);
    write_file_durably(pending, envelope, 0600);
    const Json record{
        {"schema", 1}, {"id", account.id}, {"key_id", account.key.key_id()}, {"public_key", account.key.to_pem()}};
    write_file_durably(paths.account / "account.json", canonical_json(record), 0600);
    EXPECT_EQ(account.key.key_id(), load_account_key(paths, nullptr).public_key().key_id());
    EXPECT_FALSE(fs::exists(statement));
    EXPECT_FALSE(fs::exists(pending));
}

TEST_F(RotateAccountTest, OnlyTheAccountsKeyRotates)
{
    EXPECT_EQ(ErrorKind::conflict, error_of([&] {
                                       static_cast<void>(rotate_account_key(
                                           paths, {.old_key = new_key, .new_key = old_key, .passphrase = ""}));
                                   }).kind());
    EXPECT_EQ(ErrorKind::usage, error_of([&] {
                                    static_cast<void>(rotate_account_key(
                                        paths, {.old_key = old_key, .new_key = old_key, .passphrase = ""}));
                                }).kind());
}

TEST_F(RotateAccountTest, Attack21_ARevokedKeySignsNothingHere)
{
    static_cast<void>(store.apply(sign_revocation({.account = account.id,
                                                   .key = account.key.key_id(),
                                                   .reason = "stolen",
                                                   .since = {},
                                                   .by = account.id,
                                                   .at = now},
                                                  old_key),
                                  From::outside));
    const Error error = error_of([&] { static_cast<void>(load_account_key(paths, nullptr)); });
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("was revoked: stolen"));
}

TEST_F(RotateAccountTest, AnAccountIsMadeWithAKeyThatIsThere)
{
    Paths fresh = paths;
    fresh.home = folder.path() / "fresh";
    fresh.account = fresh.home / "account";
    fresh.trust = fresh.home / "trust";
    EXPECT_EQ(alice, make_account_with(fresh, new_key, "", alice).id);
    EXPECT_EQ(new_key.public_key().key_id(), load_account_key(fresh, nullptr).public_key().key_id());
    EXPECT_EQ(ErrorKind::conflict,
              error_of([&] { static_cast<void>(make_account_with(fresh, new_key, "", std::nullopt)); }).kind());
    EXPECT_EQ(ErrorKind::usage, error_of([&] {
                                    Paths other = fresh;
                                    other.account = folder.path() / "x";
                                    static_cast<void>(make_account_with(other, new_key, "", "12"));
                                }).kind());
}

} // namespace
} // namespace kiln::signing
