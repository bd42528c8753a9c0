// SPDX-License-Identifier: Apache-2.0
// Which public keys speak for which account: one PEM file per key, trust/ACCOUNT/KEYHEX.pem, and beside it what was
// said about the key since: KEYHEX.rotation.json, KEYHEX.revocation.json. A key that comes inside a bundle is never
// looked at.
#pragma once

#include "signing/key_statement.h"
#include "signing/keys.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::signing
{

struct TrustedKey {
    PublicKey key;
    std::optional<Revocation> revoked{};
    std::optional<Rotation> rotated{};

    // Why this key's signature under something that says it was signed at `signed_at` does not count; nullopt when it
    // does. The time is the signer's own word.
    [[nodiscard]] std::optional<std::string> refusal(std::string_view signed_at) const;
    // Whether it counts under what says no time: never of a revoked key.
    [[nodiscard]] bool counts_without_a_time() const;
};

class TrustStore
{
public:
    explicit TrustStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

    struct Entry {
        std::string account;
        TrustedKey trusted;
    };
    // All keys; an unreadable or malformed file throws Error{untrusted} that names it.
    [[nodiscard]] std::vector<Entry> entries() const;
    // All keys of the account, revoked and replaced ones as well.
    [[nodiscard]] std::vector<TrustedKey> all_keys_of(std::string_view account) const;
    // Those that count under what says no time when it was signed.
    [[nodiscard]] std::vector<PublicKey> keys_of(std::string_view account) const;
    void trust(std::string_view account, const PublicKey& key) const; // durable, idempotent

    // Takes over a rotation or revocation (key_statement.h) of a key that is in the store. The signatures are checked
    // again whenever the store is read. A rotation's new key is trusted from then on. Durable, idempotent. Throws
    // Error{untrusted, not_found}, {conflict} when the key has another such statement already.
    enum class From { outside, this_home }; // only this home may say something about another account's keys
    [[nodiscard]] KeyStatementClaim apply(std::string_view envelope, From from) const;

    // The entry whose key id is `text`, or begins with it (8 hex digits or more; with or without "sha256:"). Throws
    // Error{not_found, usage}.
    [[nodiscard]] Entry find(std::string_view text) const;

    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

private:
    [[nodiscard]] TrustedKey load(std::string_view account, const std::filesystem::path& file) const;
    [[nodiscard]] std::vector<PublicKey> bare_keys_of(std::string_view account) const;

    std::filesystem::path folder_;
};

// 12 decimal digits.
[[nodiscard]] bool is_account_id(std::string_view text);

} // namespace kiln::signing
