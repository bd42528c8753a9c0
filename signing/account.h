// SPDX-License-Identifier: Apache-2.0
// The calling account: a 12-digit id and its signing key, made at first use.
#pragma once

#include "core/paths.h"
#include "signing/keys.h"

#include <optional>
#include <string>

namespace kiln::signing
{

struct Account {
    std::string id; // 12 digits
    PublicKey key;
};

// The account of this home, or nullopt before first use. Never asks for a passphrase.
[[nodiscard]] std::optional<Account> find_account(const Paths& paths);

// Makes the account (id, key pair; its public key goes into the trust store) unless there is one.
// Two processes at once make one account. Throws Error{io, no_space, permission_denied}.
Account ensure_account(const Paths& paths, std::string_view passphrase_for_a_new_key = {},
                       KeyType type = KeyType::ed25519);

// Makes the account with a key that there is already; a fresh id unless one is given. Throws Error{conflict} when there
// is an account, Error{usage} for what is no id.
Account make_account_with(const Paths& paths, const SecretKey& key, std::string_view passphrase,
                          const std::optional<std::string>& id);

// The account's secret key. Throws as SecretKey::load, and Error{untrusted} when the key was revoked.
[[nodiscard]] SecretKey load_account_key(const Paths& paths, const PassphraseSource& passphrase);

// Makes `new_key` the account's key: the old one, which the caller loaded, endorses it in a signed statement, which is
// returned (key_statement.h) for whoever trusts the account. A killed rotation leaves the old key in use, or is
// finished by whoever loads the key next. The old secret key stays in its file. Throws Error{conflict} when the old one
// is not the account's key any more.
struct RotationRequest {
    const SecretKey& old_key;
    const SecretKey& new_key;
    std::string_view passphrase; // of the new key's file; empty: not encrypted
    bool keeps_images = true;    // what the old key signed up to now still counts
};
std::string rotate_account_key(const Paths& paths, const RotationRequest& request);

} // namespace kiln::signing
