// SPDX-License-Identifier: Apache-2.0
// ECDSA on P-256 with SHA-256: the vectors of RFC 6979, appendix A.2.5, and the forms in which a key may be written.
#include "core/error.h"
#include "core/process.h"
#include "signing/dsse.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/signing/test_keys.h"

#include <gmock/gmock.h>

#include <array>

namespace kiln::signing
{
namespace
{
namespace fs = std::filesystem;

const std::string x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
const std::string y = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";

std::string pem(const std::string& label, const std::string& der_hex)
{
    return "-----BEGIN " + label + "-----\n" + base64(test::from_hex(der_hex)) + "\n-----END " + label + "-----\n";
}

// RFC 5480.
PublicKey rfc_key()
{
    return PublicKey::from_pem(pem("PUBLIC KEY", "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + x + y));
}

// SEQUENCE { INTEGER r, INTEGER s }
std::string signature_of(const std::string& r_hex, const std::string& s_hex)
{
    const auto integer = [](const std::string& hex) {
        std::string bytes = test::from_hex(hex);
        if (static_cast<unsigned char>(bytes.front()) >= 0x80) {
            bytes.insert(bytes.begin(), '\0');
        }
        return std::string("\x02") + static_cast<char>(bytes.size()) + bytes;
    };
    const std::string both = integer(r_hex) + integer(s_hex);
    return std::string("\x30") + static_cast<char>(both.size()) + both;
}

class P256Test : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    fs::path file = folder.path() / "key.pem";

    // RFC 6979's secret key, in PKCS#8 (RFC 5208, RFC 5915).
    SecretKey rfc_secret() const
    {
        write_file_durably(file,
                           pem("PRIVATE KEY", "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"
                                              "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
                                              "a14403420004" +
                                                  x + y),
                           0600);
        return SecretKey::load(file, nullptr);
    }
};

TEST_F(P256Test, VerifiesTheVectorsOfRfc6979)
{
    const PublicKey key = rfc_key();
    EXPECT_EQ(KeyType::ecdsa_p256, key.type());
    const std::string sample = signature_of("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                                            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    const std::string test = signature_of("f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                                          "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083");
    EXPECT_TRUE(key.verify("sample", sample));
    EXPECT_TRUE(key.verify("test", test));
    EXPECT_FALSE(key.verify("test", sample));
    EXPECT_FALSE(key.verify("sample", sample + "x"));
    EXPECT_FALSE(key.verify("sample", ""));
    EXPECT_FALSE(key.verify("sample", std::string(64, '\0')));
    for (std::size_t i = 0; i < sample.size(); ++i) {
        std::string flipped = sample;
        flipped[i] = static_cast<char>(flipped[i] ^ 1);
        EXPECT_FALSE(key.verify("sample", flipped)) << i;
    }
}

TEST_F(P256Test, SignsWithTheKeyOfRfc6979)
{
    const SecretKey key = rfc_secret();
    EXPECT_EQ(rfc_key().key_id(), key.public_key().key_id());
    EXPECT_TRUE(rfc_key().verify("sample", key.sign("sample")));
    EXPECT_FALSE(rfc_key().verify("test", key.sign("sample")));
}

TEST_F(P256Test, IsMadeSavedAndLoaded)
{
    const SecretKey key = SecretKey::generate(KeyType::ecdsa_p256);
    key.save(file, "correct horse");
    const SecretKey loaded = SecretKey::load(file, [] { return std::string("correct horse"); });
    EXPECT_EQ(key.public_key().key_id(), loaded.public_key().key_id());
    EXPECT_EQ(KeyType::ecdsa_p256, loaded.public_key().type());
    EXPECT_TRUE(key.public_key().verify("message", loaded.sign("message")));
    EXPECT_EQ(KeyType::ed25519, SecretKey::generate().public_key().type());
    EXPECT_FALSE(parse_key_type("rsa"));
    EXPECT_EQ(KeyType::ecdsa_p256, parse_key_type(name_of(KeyType::ecdsa_p256)));
}

// One key under two ids would make a threshold of two.
TEST_F(P256Test, Attack18_HoweverAKeyIsWrittenItHasOneId)
{
    const std::string compressed = "3039301306072a8648ce3d020106082a8648ce3d030107032200"
                                   "03" +
                                   x; // y is odd
    EXPECT_EQ(rfc_key().key_id(), PublicKey::from_pem(pem("PUBLIC KEY", compressed)).key_id());
    EXPECT_EQ(rfc_key().to_pem(), PublicKey::from_pem(pem("PUBLIC KEY", compressed)).to_pem());
    if (!find_program("openssl")) {
        GTEST_SKIP() << "the program openssl is not installed";
    }
    write_file_durably(folder.path() / "public.pem", rfc_key().to_pem());
    for (const std::vector<std::string>& form :
         std::vector<std::vector<std::string>>{{"-conv_form", "hybrid"}, {"-param_enc", "explicit"}}) {
        std::vector<std::string> argv{"openssl", "ec", "-pubin", "-in", (folder.path() / "public.pem").native()};
        argv.insert(argv.end(), form.begin(), form.end());
        const std::string written = run_or_throw({.argv = argv}, "writing the key");
        EXPECT_NE(rfc_key().to_pem(), written);
        EXPECT_EQ(rfc_key().key_id(), PublicKey::from_pem(written).key_id()) << form.front();
    }
}

TEST_F(P256Test, AnEnvelopeTakesKeysOfBothTypes)
{
    const std::array keys{SecretKey::generate(), SecretKey::generate(KeyType::ecdsa_p256)};
    const std::string envelope = sign_envelope(in_toto_payload_type, "{}", keys);
    const std::array trusted{keys[0].public_key(), keys[1].public_key()};
    EXPECT_EQ(2U, verify_envelope(envelope, in_toto_payload_type, trusted)->key_ids.size());
    EXPECT_EQ(1U, verify_envelope(envelope, in_toto_payload_type, std::array{trusted[1]})->key_ids.size());
}

// What docs/trust.md tells a reader to do.
TEST_F(P256Test, OpensslAcceptsTheSignature)
{
    if (!find_program("openssl")) {
        GTEST_SKIP() << "the program openssl is not installed";
    }
    const SecretKey key = SecretKey::generate(KeyType::ecdsa_p256);
    const auto at = [&](const char* name) { return (folder.path() / name).native(); };
    write_file_durably(at("pub"), key.public_key().to_pem());
    write_file_durably(at("sig"), key.sign("message"));
    write_file_durably(at("in"), "message");
    const std::string said =
        run_or_throw({.argv = {"openssl", "pkeyutl", "-verify", "-rawin", "-digest", "sha256", "-pubin", "-inkey",
                               at("pub"), "-sigfile", at("sig"), "-in", at("in")}},
                     "verifying");
    EXPECT_THAT(said, ::testing::HasSubstr("Signature Verified Successfully"));
}

} // namespace
} // namespace kiln::signing
