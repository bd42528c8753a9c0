// SPDX-License-Identifier: Apache-2.0
// account/: account.json is the record that makes the account exist and says which key is its own; key.pem is the first
// secret key, KEYHEX.pem a later one. The record is written after the key that it names, so a killed first use leaves
// no account rather than half of one. rotation.json is there while a rotation is under way.
#include "signing/account.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"
#include "core/timestamp.h"
#include "signing/key_statement.h"
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

fs::path first_key_file(const Paths& paths)
{
    return paths.account / "key.pem";
}

fs::path later_key_file(const Paths& paths, const PublicKey& key)
{
    return paths.account / (Digest::parse(key.key_id())->hex() + ".pem");
}

fs::path key_file(const Paths& paths, const PublicKey& key)
{
    fs::path later = later_key_file(paths, key);
    return fs::exists(later) ? later : first_key_file(paths);
}

fs::path pending_rotation(const Paths& paths)
{
    return paths.account / "rotation.json";
}

FileLock lock_account(const Paths& paths)
{
    return {paths.account / "lock", FileLock::Wait::block};
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

void write_record(const Paths& paths, const Account& account)
{
    const Json record{{"schema", account_schema},
                      {"id", account.id},
                      {"key_id", account.key.key_id()},
                      {"public_key", account.key.to_pem()}};
    write_file_durably(record_file(paths), canonical_json(record), 0600);
}

Account make_account(const Paths& paths, const SecretKey& key, std::string_view passphrase, const std::string& id)
{
    Account account{id, key.public_key()};
    key.save(first_key_file(paths), passphrase);
    TrustStore(paths.trust).trust(account.id, account.key);
    write_record(paths, account);
    return account;
}

void make_folders(const Paths& paths)
{
    make_directories(paths.account, 0700);
    make_directories(paths.trust, 0700);
    sync_directory(paths.home);
}

// The account is locked. What a killed rotation left: the last step is still to do when the record has the new key
// already; else nothing was done yet.
void finish_rotation(const Paths& paths, const Account& account)
{
    const fs::path file = pending_rotation(paths);
    if (!fs::exists(file)) {
        return;
    }
    const std::string envelope = read_file(file, mebibytes(1));
    const TrustStore trust(paths.trust);
    const KeyStatementClaim claim = claim_of(envelope);
    if (claim.account == account.id && claim.key != account.key.key_id()) {
        static_cast<void>(trust.apply(envelope, TrustStore::From::this_home));
    }
    fs::remove(file);
    sync_directory(paths.account);
}

void require_not_revoked(const Paths& paths, const Account& account)
{
    for (const TrustedKey& trusted : TrustStore(paths.trust).all_keys_of(account.id)) {
        if (trusted.revoked && trusted.key.key_id() == account.key.key_id()) {
            throw Error(
                ErrorKind::untrusted,
                fmt::format("the account's key {} was revoked: {}", account.key.key_id(), trusted.revoked->reason),
                "make a new home with `kiln key create`, and give its public key to who trusts you");
        }
    }
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

Account ensure_account(const Paths& paths, std::string_view passphrase_for_a_new_key, KeyType type)
{
    if (auto account = find_account(paths)) {
        return *std::move(account);
    }
    make_folders(paths);
    const FileLock lock = lock_account(paths);
    if (auto account = find_account(paths)) {
        return *std::move(account); // another process was first
    }
    return make_account(paths, SecretKey::generate(type), passphrase_for_a_new_key, random_decimal(12));
}

Account make_account_with(const Paths& paths, const SecretKey& key, std::string_view passphrase,
                          const std::optional<std::string>& id)
{
    if (id && !is_account_id(*id)) {
        throw Error(ErrorKind::usage, "an account id has 12 digits");
    }
    make_folders(paths);
    const FileLock lock = lock_account(paths);
    if (const auto account = find_account(paths)) {
        throw Error(ErrorKind::conflict, fmt::format("there is an account already: {}", account->id),
                    "`kiln key rotate --key FILE` makes another key its own");
    }
    return make_account(paths, key, passphrase, id.value_or(random_decimal(12)));
}

SecretKey load_account_key(const Paths& paths, const PassphraseSource& passphrase)
{
    const auto account = find_account(paths);
    if (!account) {
        throw Error(ErrorKind::not_found, fmt::format("{} holds no account yet", paths.account.native()));
    }
    if (fs::exists(pending_rotation(paths))) {
        const FileLock lock = lock_account(paths);
        if (const auto now = find_account(paths)) {
            finish_rotation(paths, *now);
        }
        return load_account_key(paths, passphrase);
    }
    require_not_revoked(paths, *account);
    const fs::path file = key_file(paths, account->key);
    SecretKey key = SecretKey::load(file, passphrase);
    if (key.public_key().key_id() != account->key.key_id()) {
        throw Error(ErrorKind::untrusted, fmt::format("{} is not the key of account {}", file.native(), account->id),
                    "restore the account's folder from a backup");
    }
    return key;
}

std::string rotate_account_key(const Paths& paths, const RotationRequest& request)
{
    const FileLock lock = lock_account(paths);
    const auto account = find_account(paths);
    const PublicKey old_key = request.old_key.public_key();
    const PublicKey new_key = request.new_key.public_key();
    if (!account || account->key.key_id() != old_key.key_id()) {
        throw Error(ErrorKind::conflict, "the account's key was changed meanwhile", "`kiln key list` shows its keys");
    }
    if (new_key.key_id() == old_key.key_id()) {
        throw Error(ErrorKind::usage, "the new key is the account's key already");
    }
    std::string envelope = sign_rotation({.account = account->id,
                                          .old_key = old_key.key_id(),
                                          .new_key = new_key,
                                          .keeps_images = request.keeps_images,
                                          .at = iso_now()},
                                         request.old_key, request.new_key);
    const TrustStore trust(paths.trust);
    request.new_key.save(later_key_file(paths, new_key), request.passphrase);
    trust.trust(account->id, new_key);
    write_file_durably(pending_rotation(paths), envelope, 0600);
    const Account rotated{account->id, new_key};
    write_record(paths, rotated); // from here on the new key signs
    finish_rotation(paths, rotated);
    return envelope;
}

} // namespace kiln::signing
