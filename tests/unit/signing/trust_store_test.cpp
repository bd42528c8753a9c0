// SPDX-License-Identifier: Apache-2.0
#include "signing/trust_store.h"

#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

namespace kiln::signing
{
namespace
{
namespace fs = std::filesystem;

class TrustStoreTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    TrustStore store{folder.path() / "trust"};
    const std::string alice = "111111111111";
    const std::string bob = "222222222222";
    const PublicKey key = SecretKey::generate().public_key();

    std::string complaint() const
    {
        try {
            static_cast<void>(store.entries());
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::untrusted, error.kind());
            return error.message();
        }
        return "none";
    }
};

TEST_F(TrustStoreTest, IsEmptyAtFirst)
{
    EXPECT_TRUE(store.entries().empty());
    EXPECT_TRUE(store.keys_of(alice).empty());
}

TEST_F(TrustStoreTest, KeepsKeysByAccount)
{
    const PublicKey second = SecretKey::generate().public_key();
    store.trust(alice, key);
    store.trust(alice, key);
    store.trust(alice, second);
    store.trust(bob, second);
    EXPECT_EQ(2U, store.keys_of(alice).size());
    ASSERT_EQ(1U, store.keys_of(bob).size());
    EXPECT_EQ(second.key_id(), store.keys_of(bob)[0].key_id());
    EXPECT_EQ(3U, store.entries().size());
    EXPECT_EQ(alice, store.entries()[0].account);
    EXPECT_TRUE(fs::exists(folder.path() / "trust" / alice / (key.key_id().substr(7) + ".pem")));
}

TEST_F(TrustStoreTest, TakesNoOtherAccountNames)
{
    EXPECT_THROW(store.trust("../../etc/cron", key), Error);
    EXPECT_TRUE(store.keys_of("../trust/" + alice).empty());
    for (const char* bad : {"", "12345678901", "1234567890123", "12345678901x", "            "}) {
        EXPECT_FALSE(is_account_id(bad)) << bad;
    }
}

TEST_F(TrustStoreTest, NamesADamagedFile)
{
    store.trust(alice, key);
    const fs::path file = folder.path() / "trust" / alice / "mine.pem";
    write_file_durably(file, key.to_pem());
    EXPECT_THAT(complaint(), ::testing::HasSubstr("mine.pem is damaged: its name should be"));
    write_file_durably(file, "garbage");
    EXPECT_THAT(complaint(),
                ::testing::HasSubstr("mine.pem is damaged: this is not an Ed25519 or ECDSA P-256 public key"));
    EXPECT_TRUE(store.keys_of(bob).empty()); // another account does not suffer
    fs::remove(file);
    EXPECT_EQ("none", complaint());
}

TEST_F(TrustStoreTest, IgnoresTheHalfWrittenFileOfAKilledProcess)
{
    store.trust(alice, key);
    write_file_durably(folder.path() / "trust" / alice / "abc.pem.01234567.tmp", "half");
    EXPECT_EQ(1U, store.entries().size());
}

TEST_F(TrustStoreTest, NamesAFolderThatIsNoAccount)
{
    fs::create_directories(folder.path() / "trust" / "alice");
    EXPECT_THAT(complaint(), ::testing::HasSubstr("alice in the trust store is not an account of 12 digits"));
}

} // namespace
} // namespace kiln::signing
