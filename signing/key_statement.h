// SPDX-License-Identifier: Apache-2.0
// What accounts say about keys, signed: that one key follows another, or that one is not to be believed any more. Each
// is an in-toto Statement v1 in a DSSE envelope, about the SHA-256 of the key's SubjectPublicKeyInfo.
#pragma once

#include "signing/keys.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiln::signing
{

// The old key names the new one, and the new one says what becomes of what the old one signed.
struct Rotation {
    std::string account;
    std::string old_key; // its id
    PublicKey new_key;
    bool keeps_images = true; // what the old key signed before `at` still counts
    std::string at;           // ISO 8601
};

struct Revocation {
    std::string account; // of the key
    std::string key;     // its id
    std::string reason;
    std::optional<std::string> since{}; // only what says that it was signed at that time or later; none: everything
    std::string by;                     // the account that says so
    std::string at;
};

// Signed by both keys.
[[nodiscard]] std::string sign_rotation(const Rotation& rotation, const SecretKey& old_key, const SecretKey& new_key);
// Throws Error{untrusted} unless `old_key` and the new key in it signed it, and it is about `old_key` of that account.
[[nodiscard]] Rotation verify_rotation(std::string_view envelope, std::string_view account, const PublicKey& old_key);

[[nodiscard]] std::string sign_revocation(const Revocation& revocation, const SecretKey& key);
// Throws Error{untrusted} unless one of `keys` signed it.
[[nodiscard]] Revocation verify_revocation(std::string_view envelope, std::span<const PublicKey> keys);

// Which of the two an envelope claims to be, and about which key of which account: unverified, to find the keys to
// verify it with. Throws Error{untrusted}.
struct KeyStatementClaim {
    enum class Kind { rotation, revocation };
    Kind kind = Kind::rotation;
    std::string account;
    std::string key; // id
    std::string by;  // the account that is to have signed it
};
[[nodiscard]] KeyStatementClaim claim_of(std::string_view envelope);

inline constexpr std::size_t longest_reason = 500;

} // namespace kiln::signing
