// SPDX-License-Identifier: Apache-2.0
#include "signing/account.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "signing/trust_store.h"
#include "tests/unit/signing/account_home.h"

#include <gmock/gmock.h>

#include <set>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::signing
{
namespace
{
namespace fs = std::filesystem;

using AccountTest = test::AccountHome;

TEST_F(AccountTest, IsMadeAtFirstUseAndKept)
{
    EXPECT_FALSE(find_account(paths));
    EXPECT_THROW(static_cast<void>(load_account_key(paths, nullptr)), Error);
    const Account made = ensure_account(paths);
    EXPECT_TRUE(is_account_id(made.id));
    EXPECT_EQ(made.id, ensure_account(paths).id);
    EXPECT_EQ(made.key.key_id(), find_account(paths)->key.key_id());
    EXPECT_EQ(made.key.key_id(), load_account_key(paths, nullptr).public_key().key_id());
    const auto trusted = TrustStore(paths.trust).keys_of(made.id);
    ASSERT_EQ(1U, trusted.size());
    EXPECT_EQ(made.key.key_id(), trusted[0].key_id());
}

TEST_F(AccountTest, FilesArePrivate)
{
    ensure_account(paths);
    struct stat status {
    };
    ASSERT_EQ(0, ::stat((paths.account / "key.pem").c_str(), &status));
    EXPECT_EQ(0600U, status.st_mode & 07777U);
    ASSERT_EQ(0, ::stat(paths.account.c_str(), &status));
    EXPECT_EQ(0700U, status.st_mode & 07777U);
    ASSERT_EQ(0, ::stat(paths.home.c_str(), &status));
    EXPECT_EQ(0700U, status.st_mode & 07777U);
}

TEST_F(AccountTest, APassphraseProtectsTheKeyButNotTheId)
{
    const Account made = ensure_account(paths, "secret");
    EXPECT_EQ(made.id, find_account(paths)->id);
    EXPECT_THROW(static_cast<void>(load_account_key(paths, nullptr)), Error);
    const SecretKey key = load_account_key(paths, [] { return std::string("secret"); });
    EXPECT_EQ(made.key.key_id(), key.public_key().key_id());
}

TEST_F(AccountTest, ProcessesAtOnceMakeOneAccount)
{
    constexpr int processes = 6;
    for (int i = 0; i < processes; ++i) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            try {
                write_file_durably(folder.path() / ("id-" + std::to_string(i)), ensure_account(paths).id);
                ::_exit(0);
            } catch (...) {
                ::_exit(1);
            }
        }
    }
    for (int i = 0; i < processes; ++i) {
        int status = 0;
        ASSERT_GT(::wait(&status), 0);
        EXPECT_EQ(0, status);
    }
    std::set<std::string> ids;
    for (int i = 0; i < processes; ++i) {
        ids.insert(read_file(folder.path() / ("id-" + std::to_string(i))));
    }
    EXPECT_EQ(1U, ids.size());
    EXPECT_EQ(1U, TrustStore(paths.trust).entries().size());
    EXPECT_NO_THROW(static_cast<void>(load_account_key(paths, nullptr)));
}

TEST_F(AccountTest, WithoutItsRecordThereIsNoAccount)
{
    const Account first = ensure_account(paths);
    fs::remove(paths.account / "account.json"); // as after a kill before the last write
    EXPECT_FALSE(find_account(paths));
    const Account second = ensure_account(paths);
    EXPECT_EQ(second.key.key_id(), load_account_key(paths, nullptr).public_key().key_id());
    EXPECT_NE(first.key.key_id(), second.key.key_id());
}

TEST_F(AccountTest, ADamagedRecordOrForeignKeyIsRefused)
{
    const Account made = ensure_account(paths);
    SecretKey::generate().save(paths.account / "key.pem", "");
    EXPECT_THROW(static_cast<void>(load_account_key(paths, nullptr)), Error);
    const fs::path record = paths.account / "account.json";
    Json json = parse_json(read_file(record), "test");
    json["id"] = "../../../etc";
    write_file_durably(record, json.dump());
    EXPECT_THROW(static_cast<void>(find_account(paths)), Error);
    json["id"] = made.id;
    json["schema"] = 2;
    write_file_durably(record, json.dump());
    try {
        static_cast<void>(find_account(paths));
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_THAT(error.message(), ::testing::HasSubstr("made by a newer Kiln"));
    }
}

TEST_F(AccountTest, TheRecordHoldsNoSecret)
{
    ensure_account(paths);
    const std::string pem = read_file(paths.account / "key.pem");
    const std::size_t start = pem.find('\n') + 1;
    const std::string seed = pem.substr(start + 22, 40);
    EXPECT_THAT(read_file(paths.account / "account.json"), ::testing::Not(::testing::HasSubstr(seed)));
}

} // namespace
} // namespace kiln::signing
