// SPDX-License-Identifier: Apache-2.0
#include "signing/dsse.h"

#include "core/error.h"
#include "core/json.h"
#include "core/process.h"
#include "signing/base64.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/signing/test_keys.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

namespace kiln::signing
{
namespace
{

constexpr const char* seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const std::string payload = R"({"say":"hello","bytes":"???>>>"})";

class DsseTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    SecretKey key = test::secret_key_of_seed(seed, folder.path() / "key.pem");
    std::vector<PublicKey> trusted{key.public_key()};
    std::string envelope = sign_envelope(in_toto_payload_type, payload, key);

    // The envelope after `change`.
    std::string changed(const std::function<void(Json&)>& change) const
    {
        Json json = parse_json(envelope, "test");
        change(json);
        return json.dump();
    }
    bool accepted(const std::string& text) const
    {
        return verify_envelope(text, in_toto_payload_type, trusted).has_value();
    }
    std::string complaint(const std::string& text) const
    {
        try {
            return accepted(text) ? "accepted" : "not signed";
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::untrusted, error.kind());
            return error.message();
        }
    }
};

std::string url_safe(std::string text, bool padded)
{
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    while (!padded && text.ends_with('=')) {
        text.pop_back();
    }
    return text;
}

TEST(Dsse, EncodesTheVectorOfTheSpecification)
{
    EXPECT_EQ("DSSEv1 29 http://example.com/HelloWorld 11 hello world",
              pre_authentication_encoding("http://example.com/HelloWorld", "hello world"));
    EXPECT_EQ("DSSEv1 0  0 ", pre_authentication_encoding("", ""));
    EXPECT_EQ(std::string("DSSEv1 1 t 3 a\0b", 16), pre_authentication_encoding("t", std::string_view("a\0b", 3)));
}

TEST_F(DsseTest, EnvelopeIsItsGoldenFile)
{
    test::expect_golden("signing/envelope.json", envelope + "\n");
}

TEST_F(DsseTest, VerifiesItsOwn)
{
    const auto verified = verify_envelope(envelope, in_toto_payload_type, trusted);
    ASSERT_TRUE(verified);
    EXPECT_EQ(payload, verified->payload);
    EXPECT_EQ(std::vector{key.public_key().key_id()}, verified->key_ids);
}

TEST_F(DsseTest, AnotherKeyDoesNotCount)
{
    const std::vector others{SecretKey::generate().public_key()};
    EXPECT_FALSE(verify_envelope(envelope, in_toto_payload_type, others));
    EXPECT_FALSE(verify_envelope(envelope, in_toto_payload_type, {}));
}

TEST_F(DsseTest, Attack20AnotherPayloadTypeFails)
{
    EXPECT_EQ("signature envelope: its payload type is text/plain, and application/vnd.in-toto+json was expected",
              complaint(sign_envelope("text/plain", payload, key)));
    // The type in the envelope changed to the expected one, its signature kept.
    Json json = parse_json(sign_envelope("text/plain", payload, key), "test");
    json["payloadType"] = in_toto_payload_type;
    EXPECT_EQ("not signed", complaint(json.dump()));
}

TEST_F(DsseTest, Attack20UrlSafeBase64Passes)
{
    ASSERT_NE(std::string::npos, envelope.find_first_of("+/")) << "the sample should need both alphabets";
    for (const bool padded : {true, false}) {
        EXPECT_TRUE(accepted(changed([&](Json& json) {
            json["payload"] = url_safe(json["payload"], padded);
            json["signatures"][0]["sig"] = url_safe(json["signatures"][0]["sig"], padded);
        })));
    }
}

TEST_F(DsseTest, Attack20AWrongLengthPrefixFails)
{
    const auto with = [&](const std::string& encoding) {
        return changed([&](Json& json) { json["signatures"][0]["sig"] = base64(key.sign(encoding)); });
    };
    const std::string right = pre_authentication_encoding(in_toto_payload_type, payload);
    EXPECT_EQ("accepted", complaint(with(right)));
    const std::string type(in_toto_payload_type);
    EXPECT_EQ("not signed", complaint(with("DSSEv1 28 " + type + " 33 " + payload)));
    EXPECT_EQ("not signed",
              complaint(with("DSSEv1 028 " + type + " " + std::to_string(payload.size()) + " " + payload)));
    EXPECT_EQ("not signed",
              complaint(with("DSSEv1 29 " + type + " " + std::to_string(payload.size()) + " " + payload)));
    EXPECT_EQ("not signed", complaint(with(payload)));
}

TEST_F(DsseTest, Attack19ASwappedKeyIdChangesNothing)
{
    const auto with_key_id = [&](const Json& id) {
        return changed([&](Json& json) { json["signatures"][0]["keyid"] = id; });
    };
    EXPECT_TRUE(accepted(with_key_id(SecretKey::generate().public_key().key_id())));
    EXPECT_TRUE(accepted(with_key_id("")));
    EXPECT_TRUE(accepted(changed([](Json& json) { json["signatures"][0].erase("keyid"); })));
    const SecretKey other = SecretKey::generate();
    Json foreign = parse_json(sign_envelope(in_toto_payload_type, payload, other), "test");
    foreign["signatures"][0]["keyid"] = key.public_key().key_id();
    EXPECT_EQ("not signed", complaint(foreign.dump()));
}

TEST_F(DsseTest, Attack18OneKeyCountsOnce)
{
    const std::vector twice{key.public_key(), key.public_key()};
    const std::string two = changed([](Json& json) {
        json["signatures"].push_back(json["signatures"][0]);
        json["signatures"][1]["keyid"] = "another";
    });
    EXPECT_EQ(1U, verify_envelope(two, in_toto_payload_type, twice)->key_ids.size());
}

TEST_F(DsseTest, TwoKeysCountTwice)
{
    const SecretKey other = SecretKey::generate();
    const Json second = parse_json(sign_envelope(in_toto_payload_type, payload, other), "test");
    const std::string two = changed([&](Json& json) { json["signatures"].push_back(second["signatures"][0]); });
    const std::vector both{key.public_key(), other.public_key()};
    EXPECT_EQ(2U, verify_envelope(two, in_toto_payload_type, both)->key_ids.size());
}

TEST_F(DsseTest, AChangedPayloadFails)
{
    EXPECT_EQ("not signed", complaint(changed([](Json& json) { json["payload"] = base64("{}"); })));
}

TEST_F(DsseTest, MalformedEnvelopesAreRefused)
{
    const std::vector<std::pair<std::string, std::string>> table{
        {"", "is not valid JSON"},
        {"[]", "lacks \"payloadType\""},
        {changed([](Json& json) { json.erase("payload"); }), "lacks \"payload\""},
        {changed([](Json& json) { json["payload"] = "%%%%"; }), "\"payload\" is not base64"},
        {changed([](Json& json) { json["payload"] = 1; }), "\"payload\" is not a string"},
        {changed([](Json& json) { json["signatures"] = Json::array(); }), "does not have 1 to 32 signatures"},
        {changed([](Json& json) { json["signatures"] = Json(std::vector<int>(33)); }),
         "does not have 1 to 32 signatures"},
        {changed([](Json& json) { json["signatures"] = Json::object(); }), "does not have 1 to 32 signatures"},
        {changed([](Json& json) { json["signatures"][0] = 1; }), "lacks \"sig\""},
        {changed([](Json& json) { json["signatures"][0]["sig"] = "*"; }), "\"sig\" is not base64"},
        {R"({"payload":"","payload":"","payloadType":"x","signatures":[]})", "has the key \"payload\" twice"},
    };
    for (const auto& [text, part] : table) {
        EXPECT_THAT(complaint(text), ::testing::HasSubstr(part)) << text;
    }
}

// What docs/trust.md tells a reader to do.
TEST_F(DsseTest, OpensslAcceptsTheSignatureOverThePaeBytes)
{
    if (!find_program("openssl")) {
        GTEST_SKIP() << "the openssl program is not installed (Debian package openssl)";
    }
    const auto at = [&](const char* name) { return folder.path() / name; };
    const auto verdict = [&](const std::string& signature, const std::string& encoding) {
        write_file_durably(at("sig"), signature);
        write_file_durably(at("pae"), encoding);
        return run({.argv = {"openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", at("pub"), "-sigfile",
                             at("sig"), "-in", at("pae")},
                    .environment = {},
                    .folder = {},
                    .input = {},
                    .timeout = std::chrono::seconds(30),
                    .descriptors = {},
                    .on_error_line = {}});
    };
    write_file_durably(at("pub"), key.public_key().to_pem());
    const std::string signature =
        *parse_base64(parse_json(envelope, "test")["signatures"][0]["sig"].get<std::string>());
    const std::string encoding = pre_authentication_encoding(in_toto_payload_type, payload);

    const ProcessResult good = verdict(signature, encoding);
    EXPECT_TRUE(good.succeeded()) << good.describe() << good.errors;
    EXPECT_THAT(good.output, ::testing::HasSubstr("Signature Verified Successfully"));

    std::string flipped = signature;
    flipped[20] = static_cast<char>(flipped[20] ^ 1);
    EXPECT_FALSE(verdict(flipped, encoding).succeeded());
    std::string other = encoding;
    other.back() = static_cast<char>(other.back() ^ 1);
    const ProcessResult bad = verdict(signature, other);
    EXPECT_EQ(ProcessResult::Outcome::exited, bad.outcome);
    EXPECT_NE(0, bad.status);
    EXPECT_THAT(bad.output + bad.errors, ::testing::HasSubstr("Signature Verification Failure"));
}

} // namespace
} // namespace kiln::signing
