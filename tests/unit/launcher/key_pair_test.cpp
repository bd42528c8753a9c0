// SPDX-License-Identifier: Apache-2.0
// SSH key pairs, against what ssh-keygen and openssl said of the same keys.
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/keys/key_pair.h"
#include "launcher/keys/ssh_public_key.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

const std::string ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIt1i6z5UBI8DZaZcacDXovxasAfI8vtOHh8XS+1iKTR";
const std::string rsa =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDMLdi/S3sECIs87REzZ476KP30nDrD4NYF2o9TrMM4h3ttjiLES2"
    "8KSLXsj4ICVsQ8JPjewGzbeU5pn5oMnsKfy2l0X2oUx8NZzker/pgCjgYquhf65aoFXHmDNlFEc+Zja9/2O3KCgQAHeOc03zYnCZ"
    "7KEP9jF4mb6UOUz4cfFHNQsYxrguERtLVPnZLXiKv3vJZ8naEW+HJZlp3IZxE9bazjqd7BpZHE89ydOrPxHr2jg20nxo4mYWebWZ"
    "gNNHVehiTvWw3w2JuWgxcXSbm9bDBU1Wn9uK8yW4ZgfukcltPdC6Nsr0Wl5t0he0LX+DAf8jKbV4H7SRt45fi2EPoF";
const std::string short_rsa =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDp5ISSvoc1Re1BE3bI/h/lJC/WU+nMWXb+b+7ct8mfx96gCP7kWu"
    "CWiJbgFp6+YfcG93dqVboQ/D3rKcIJ5uhYdJgp9OdI4YhFDyoRAHnl8RrN1/z4IcNjSV/"
    "yHpbXz7ZAQPiikUo1YcMs7Pfwmpw8woRJTevgel4BdDiaheDBvQ==";
const std::string ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBemTKV+2IhehrMFPR"
                          "1i3NuTfqrpwr/P1cXN7+XdzWPu7hWGZSSgeJz4iPqVw8UyS3QPVmBzD4ChqgXGvkR8Qb4=";
// openssl's of an RSA key's SubjectPublicKeyInfo
constexpr const char* rsa_fingerprint = "6f:bd:6a:98:c9:1b:0f:78:f4:c6:d4:37:ed:19:ae:f1";
// ssh-keygen's, with the padding that EC2 leaves there
constexpr const char* ed25519_fingerprint = "hrCaEKDCd0gVGPA3nJH2epen79wHnb3gfjz+B2hILUg=";

TEST(SshPublicKey, IsRead)
{
    const SshPublicKey key = parse_ssh_public_key(ed25519 + " me@host and more\n");
    EXPECT_EQ(key.type, "ed25519");
    EXPECT_EQ(key.text, ed25519);
    EXPECT_EQ(key.comment, "me@host and more");
    EXPECT_EQ(parse_ssh_public_key(rsa).type, "rsa");
}

TEST(SshPublicKey, RefusesWhatIsNone)
{
    for (const std::string& wrong :
         {std::string(), std::string("ssh-ed25519"), std::string("ssh-ed25519 !!!!"), std::string("ssh-ed25519 AAAA"),
          ed25519.substr(0, 60), "command=\"reboot\" " + ed25519, ed25519 + "\n" + ed25519, ecdsa, short_rsa,
          "ssh-rsa " + ed25519.substr(12), // another type inside
          "ssh-ed25519 " + rsa.substr(8), std::string("-----BEGIN OPENSSH PRIVATE KEY-----"),
          ed25519 + "\r\nssh-rsa AAAA", std::string(20000, 'a')}) {
        try {
            static_cast<void>(parse_ssh_public_key(wrong));
            ADD_FAILURE() << wrong;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::usage) << wrong;
        }
    }
    // What a terminal would do with the comment.
    EXPECT_EQ(parse_ssh_public_key(ed25519 + " \033[2J").comment, "\\x1b[2J");
}

class KeyPairs : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("ssh-keygen")) {
            GTEST_SKIP() << "openssh-client is not installed";
        }
        paths_.work = home_.path() / "work";
    }
    test::TemporaryFolder home_;
    Paths paths_ = paths_in(home_.path());
};

TEST_F(KeyPairs, ImportedOnesHaveEc2sFingerprints)
{
    EXPECT_EQ(import_key_pair(paths_, "mine", ed25519 + " c", {{"a", "b"}}, {}).fingerprint, ed25519_fingerprint);
    EXPECT_EQ(import_key_pair(paths_, "old", rsa, {}, {}).fingerprint, rsa_fingerprint);
    const std::vector<KeyPair> pairs = list_key_pairs(paths_);
    ASSERT_EQ(pairs.size(), 2U);
    EXPECT_EQ(pairs[0].name, "mine");
    EXPECT_EQ(pairs[0].tags.at("a"), "b");
    EXPECT_EQ(resolve_key_pair(paths_, pairs[1].id).name, "old");
    try {
        static_cast<void>(import_key_pair(paths_, "mine", rsa, {}, {}));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::conflict);
    }
    delete_key_pair(paths_, pairs[0]);
    EXPECT_THROW(static_cast<void>(resolve_key_pair(paths_, "mine")), Error);
    EXPECT_TRUE(std::filesystem::is_empty(paths_.work)); // no key is left anywhere
}

TEST_F(KeyPairs, MadeOnesGiveTheirSecretOnceAndKeepNone)
{
    for (const char* type : {"ed25519", "rsa"}) {
        std::string secret;
        const KeyPair pair =
            create_key_pair(paths_, type, type, {}, [&](const NewKeyPair& made) { secret = made.secret; }, {});
        EXPECT_THAT(secret, testing::HasSubstr("PRIVATE KEY-----"));
        // The secret is the public key's.
        const std::filesystem::path file = home_.path() / (std::string("secret-") + type);
        write_file_durably(file, secret, 0600);
        const std::string again = run_or_throw({.argv = {"ssh-keygen", "-y", "-f", file.native()}}, "reading it");
        EXPECT_EQ(parse_ssh_public_key(again).text, pair.public_key);
        EXPECT_EQ(pair.fingerprint.size(), type == std::string("rsa") ? 59U : 44U); // SHA-1, SHA-256
        EXPECT_THAT(read_file(paths_.home / "keypairs" / (std::string(type) + ".json")),
                    testing::Not(testing::HasSubstr("PRIVATE")));
    }
    EXPECT_TRUE(std::filesystem::is_empty(paths_.work));
}

TEST_F(KeyPairs, NoneIsLeftWhenItsSecretCouldNotBeKept)
{
    EXPECT_THROW(static_cast<void>(create_key_pair(
                     paths_, "mine", "ed25519", {},
                     [](const NewKeyPair& /*made*/) { throw Error(ErrorKind::no_space, "the disk is full"); }, {})),
                 Error);
    EXPECT_TRUE(list_key_pairs(paths_).empty());
}

TEST(KeyPairNames, AreFilesNames)
{
    for (const char* name : {"a", "My.key_1-x"}) {
        EXPECT_NO_THROW(require_key_pair_name(name)) << name;
    }
    for (const char* name : {"", ".", "..", "a/b", "-a", "a-", "key-1", "a b", "a\n"}) {
        EXPECT_THROW(require_key_pair_name(name), Error) << name;
    }
}

TEST(KeyPairRecord, RefusesWhatIsNone)
{
    const KeyPair pair{.id = "key-0123456789abcdef0",
                       .name = "mine",
                       .type = "ed25519",
                       .fingerprint = ed25519_fingerprint,
                       .public_key = ed25519,
                       .created = "2026-11-23T17:44:58Z",
                       .tags = {}};
    const Json good = to_json(pair);
    EXPECT_EQ(to_json(key_pair_from_json(good)), good);
    Json wrong = good;
    wrong["public_key"] = "ssh-ed25519 AAAA\nssh-rsa BBBB";
    EXPECT_THROW(static_cast<void>(key_pair_from_json(wrong)), Error);
    wrong = good;
    wrong["key_name"] = "../x";
    EXPECT_THROW(static_cast<void>(key_pair_from_json(wrong)), Error);
}

} // namespace
} // namespace kiln::launcher
