// SPDX-License-Identifier: Apache-2.0
// account/: key.pem is the secret key, account.json the record that makes the account exist. The
// record is written last, so a killed first use leaves no account rather than half of one.
#include "signing/account.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace fs = std::filesystem;
namespace
{

constexpr int account_schema = 1;

fs::path record_file(const Paths& paths)
{
    return paths.account / "account.json";
}

fs::path key_file(const Paths& paths)
{
    return paths.account / "key.pem";
}

Account parse_account(const std::string& text, const std::string& file)
{
    const Json json = parse_json(text, file);
    const std::int64_t schema = integer_member(json, "schema", file);
    if (schema > account_schema) {
        throw Error(ErrorKind::io, fmt::format("{} was made by a newer Kiln (schema {})", file, schema),
                    "install a newer Kiln");
    }
    Account account{string_member(json, "id", file), PublicKey::from_pem(string_member(json, "public_key", file))};
    if (schema != account_schema || !is_account_id(account.id) ||
        account.key.key_id() != string_member(json, "key_id", file)) {
        throw Error(ErrorKind::io, fmt::format("{} is damaged", file), "restore it from a backup");
    }
    return account;
}

Account make_account(const Paths& paths, std::string_view passphrase)
{
    const SecretKey key = SecretKey::generate();
    Account account{random_decimal(12), key.public_key()};
    key.save(key_file(paths), passphrase);
    TrustStore(paths.trust).trust(account.id, account.key);
    const Json record{{"schema", account_schema},
                      {"id", account.id},
                      {"key_id", account.key.key_id()},
                      {"public_key", account.key.to_pem()}};
    write_file_durably(record_file(paths), canonical_json(record), 0600);
    return account;
}

} // namespace

std::optional<Account> find_account(const Paths& paths)
{
    const fs::path file = record_file(paths);
    if (!fs::exists(file)) {
        return std::nullopt;
    }
    return parse_account(read_file(file, mebibytes(1)), file.native());
}

Account ensure_account(const Paths& paths, std::string_view passphrase_for_a_new_key)
{
    if (auto account = find_account(paths)) {
        return *std::move(account);
    }
    make_directories(paths.account, 0700);
    make_directories(paths.trust, 0700);
    sync_directory(paths.home);
    const FileLock lock(paths.account / "lock", FileLock::Wait::block);
    if (auto account = find_account(paths)) {
        return *std::move(account); // another process was first
    }
    return make_account(paths, passphrase_for_a_new_key);
}

SecretKey load_account_key(const Paths& paths, const PassphraseSource& passphrase)
{
    const auto account = find_account(paths);
    if (!account) {
        throw Error(ErrorKind::not_found, fmt::format("{} holds no account yet", paths.account.native()));
    }
    SecretKey key = SecretKey::load(key_file(paths), passphrase);
    if (key.public_key().key_id() != account->key.key_id()) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{} is not the key of account {}", key_file(paths).native(), account->id),
                    "restore the account's folder from a backup");
    }
    return key;
}

} // namespace kiln::signing
