// SPDX-License-Identifier: Apache-2.0
#include "signing/keys.h"

#include "core/digest.h"
#include "core/error.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/signing/test_keys.h"

#include <gmock/gmock.h>

#include <optional>
#include <sys/stat.h>

namespace kiln::signing
{
namespace
{
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class KeysTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    fs::path file = folder.path() / "key.pem";
    const PassphraseSource never = []() -> std::string {
        ADD_FAILURE() << "a passphrase was asked for";
        return "";
    };

    Error load_error(const PassphraseSource& source) const
    {
        try {
            static_cast<void>(SecretKey::load(file, source));
        } catch (const Error& error) {
            return error;
        }
        return {ErrorKind::internal, "loaded"};
    }
};

struct Vector {
    const char* seed;
    const char* public_key;
    const char* message;
    const char* signature;
};

// RFC 8032, section 7.1, tests 1 to 3.
const Vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55141"
     "438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d29"
     "1612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027be"
     "ceea1ec40a"},
};

TEST_F(KeysTest, SignsAsRfc8032)
{
    for (const Vector& vector : vectors) {
        const SecretKey key = test::secret_key_of_seed(vector.seed, file);
        const std::string message = test::from_hex(vector.message);
        EXPECT_EQ(test::from_hex(vector.signature), key.sign(message));
        // RFC 8410: the SubjectPublicKeyInfo ends in the raw key.
        const std::string der = test::from_hex("302a300506032b6570032100") + test::from_hex(vector.public_key);
        EXPECT_EQ("-----BEGIN PUBLIC KEY-----\n" + base64(der) + "\n-----END PUBLIC KEY-----\n",
                  key.public_key().to_pem());
        EXPECT_EQ(digest_of(der).to_string(), key.public_key().key_id());
        EXPECT_TRUE(key.public_key().verify(message, test::from_hex(vector.signature)));
    }
}

TEST_F(KeysTest, VerifiesNothingElse)
{
    const SecretKey key = SecretKey::generate();
    const PublicKey other = SecretKey::generate().public_key();
    const std::string signature = key.sign("message");
    EXPECT_TRUE(key.public_key().verify("message", signature));
    EXPECT_FALSE(other.verify("message", signature));
    EXPECT_FALSE(key.public_key().verify("massage", signature));
    EXPECT_FALSE(key.public_key().verify("message", ""));
    EXPECT_FALSE(key.public_key().verify("message", signature + "x"));
    for (std::size_t i = 0; i < signature.size() * 8; ++i) {
        std::string flipped = signature;
        flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
        EXPECT_FALSE(key.public_key().verify("message", flipped)) << i;
    }
}

TEST_F(KeysTest, PublicKeysSurviveTheirPem)
{
    const PublicKey key = SecretKey::generate().public_key();
    EXPECT_EQ(key.key_id(), PublicKey::from_pem(key.to_pem()).key_id());
}

TEST_F(KeysTest, OnlyPublicKeysOfOurTypesAreTaken)
{
    const std::string p384 = "-----BEGIN PUBLIC KEY-----\n"
                             "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE4reGSvkt0hR615+IwK0zLag7Y67yFJx6\n"
                             "7a0lEXDS/36/InOuu+A1sH0XcjW0Nuk+UwZpq1id27qifn06AoTfE6tbRY7R5N7Z\n"
                             "4fOyiRIun3L6/FTVYZtir0xaXgZdazO2\n"
                             "-----END PUBLIC KEY-----\n";
    const SecretKey secret = SecretKey::generate();
    secret.save(file, "");
    for (const std::string& bad : {std::string(), std::string("x"), p384, read_file(file)}) {
        try {
            static_cast<void>(PublicKey::from_pem(bad));
            ADD_FAILURE() << bad;
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::untrusted, error.kind());
            EXPECT_EQ("this is not an Ed25519 or ECDSA P-256 public key in PEM form", error.message());
        }
    }
}

TEST_F(KeysTest, SavesPkcs8WithMode0600)
{
    const SecretKey key = SecretKey::generate();
    key.save(file, "");
    struct stat status {
    };
    ASSERT_EQ(0, ::stat(file.c_str(), &status));
    EXPECT_EQ(0600U, status.st_mode & 07777U);
    EXPECT_THAT(read_file(file), ::testing::StartsWith("-----BEGIN PRIVATE KEY-----\n"));
    EXPECT_EQ(key.public_key().key_id(), SecretKey::load(file, never).public_key().key_id());
}

TEST_F(KeysTest, RefusesAFileThatOthersCanRead)
{
    SecretKey::generate().save(file, "");
    for (const auto mode :
         {fs::perms::group_read, fs::perms::others_read, fs::perms::group_write, fs::perms::others_exec}) {
        fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write | mode);
        const Error error = load_error(never);
        EXPECT_EQ(ErrorKind::permission_denied, error.kind());
        EXPECT_THAT(error.message(), HasSubstr("other users can get at it"));
        EXPECT_THAT(error.hint(), HasSubstr("chmod 600"));
    }
    fs::permissions(file, fs::perms::owner_read);
    EXPECT_NO_THROW(static_cast<void>(SecretKey::load(file, never)));
}

TEST_F(KeysTest, EncryptsWithAPassphrase)
{
    const SecretKey key = SecretKey::generate();
    key.save(file, "correct horse");
    EXPECT_THAT(read_file(file), ::testing::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    const auto right = [] { return std::string("correct horse"); };
    EXPECT_EQ(key.public_key().key_id(), SecretKey::load(file, right).public_key().key_id());

    const Error wrong = load_error([] { return std::string("battery staple"); });
    EXPECT_EQ(ErrorKind::permission_denied, wrong.kind());
    EXPECT_THAT(wrong.message(), HasSubstr("the passphrase of the secret key"));
    EXPECT_THAT(std::string(wrong.what()) + wrong.hint(), Not(HasSubstr("battery staple")));
    EXPECT_EQ(ErrorKind::permission_denied, load_error(nullptr).kind());
    EXPECT_EQ(ErrorKind::permission_denied, load_error([] { return std::string(); }).kind());
    EXPECT_EQ(ErrorKind::permission_denied, load_error([] { return std::string(5000, 'x'); }).kind());
}

TEST_F(KeysTest, PassesOnWhatThePassphraseSourceThrows)
{
    SecretKey::generate().save(file, "p");
    const Error error = load_error([]() -> std::string { throw Error(ErrorKind::usage, "no terminal"); });
    EXPECT_EQ(ErrorKind::usage, error.kind());
    EXPECT_EQ("no terminal", error.message());
}

TEST_F(KeysTest, ThePassphraseCanBeAsLongAsTheReaderTakes)
{
    const SecretKey key = SecretKey::generate();
    key.save(file, std::string(1024, 'x'));
    EXPECT_NO_THROW(static_cast<void>(SecretKey::load(file, [] { return std::string(1024, 'x'); })));
    EXPECT_THROW(key.save(file, std::string(1025, 'x')), Error);
}

TEST_F(KeysTest, AbsentOrMalformedFilesAreSaidSo)
{
    EXPECT_EQ(ErrorKind::not_found, load_error(never).kind());
    for (const std::string& text : {std::string(), std::string("garbage"), std::string(20'000, 'x')}) {
        write_file_durably(file, text, 0600);
        EXPECT_EQ(ErrorKind::untrusted, load_error(never).kind());
    }
}

TEST_F(KeysTest, NoErrorHoldsKeyMaterial)
{
    SecretKey::generate().save(file, "");
    std::string pem = read_file(file);
    const std::size_t start = pem.find('\n') + 1;
    const std::string body = pem.substr(start, pem.find('\n', start) - start);
    std::vector<std::string> damaged{pem};
    damaged.back().replace(start, 4, "AAAA");
    damaged.push_back(pem.substr(0, start + body.size() - 6));
    damaged.push_back("x" + pem);
    damaged.back().replace(damaged.back().rfind("PRIVATE"), 7, "PUBLIC ");
    for (const std::string& text : damaged) {
        write_file_durably(file, text, 0600);
        const Error error = load_error(never);
        EXPECT_NE("loaded", error.message());
        EXPECT_THAT(std::string(error.what()) + error.hint(), Not(HasSubstr(body.substr(8, 12))));
    }
    write_file_durably(file, pem, 0644);
    fs::permissions(file, fs::perms::owner_all | fs::perms::group_read);
    EXPECT_THAT(std::string(load_error(never).what()), Not(HasSubstr(body.substr(8, 12))));
}

} // namespace
} // namespace kiln::signing
