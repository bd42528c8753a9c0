// SPDX-License-Identifier: Apache-2.0
// What the key commands share: passphrases, and secret keys from files.
#pragma once

#include "signing/key_statement.h"
#include "signing/keys.h"

#include <string>

namespace kiln::cli
{

// The one line of a passphrase file; empty for no file. Throws Error{usage} when the file is empty.
[[nodiscard]] std::string read_passphrase(const std::string& file);

// A secret key and the passphrase that its file has; empty: none.
struct UnlockedKey {
    signing::SecretKey key;
    std::string passphrase;
};
// `passphrase_file` may be empty: then as find_passphrase().
[[nodiscard]] UnlockedKey load_key(const std::string& file, const std::string& passphrase_file);

// Throws Error{usage} with the types that there are.
[[nodiscard]] signing::KeyType require_key_type(const std::string& name);

} // namespace kiln::cli
