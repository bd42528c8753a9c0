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
Account ensure_account(const Paths& paths, std::string_view passphrase_for_a_new_key = {});

// The account's secret key. Throws as SecretKey::load.
[[nodiscard]] SecretKey load_account_key(const Paths& paths, const PassphraseSource& passphrase);

} // namespace kiln::signing
