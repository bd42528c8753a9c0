// SPDX-License-Identifier: Apache-2.0
// Which public keys speak for which account: one PEM file per key, trust/ACCOUNT/KEYHEX.pem.
// A key that comes inside a bundle is never looked at.
#pragma once

#include "signing/keys.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::signing
{

class TrustStore
{
public:
    explicit TrustStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

    struct Entry {
        std::string account;
        PublicKey key;
    };
    // All trusted keys; an unreadable or malformed file throws Error{untrusted} that names it.
    [[nodiscard]] std::vector<Entry> entries() const;
    [[nodiscard]] std::vector<PublicKey> keys_of(std::string_view account) const;
    void trust(std::string_view account, const PublicKey& key) const; // durable, idempotent

private:
    std::filesystem::path folder_;
};

// 12 decimal digits.
[[nodiscard]] bool is_account_id(std::string_view text);

} // namespace kiln::signing
