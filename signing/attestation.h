// SPDX-License-Identifier: Apache-2.0
// An attestation: a document (the predicate) that an account signed about an AMI, as an in-toto
// Statement v1 in a DSSE envelope. Other tools of the in-toto family read it.
#pragma once

#include "core/digest.h"
#include "core/json.h"
#include "signing/keys.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiln::signing
{

struct Attestation {
    std::string subject_name; // "NAME@VERSION", for people
    Digest subject;           // of the AMI's OCI manifest
    std::string predicate_type;
    Json predicate;
};

// The envelope. Throws Error{internal} for a predicate that canonical JSON can't hold.
[[nodiscard]] std::string sign_attestation(const Attestation& attestation, const SecretKey& key);

// The predicate of a hostile envelope; nullopt when no key of `keys` signed it. Throws Error{untrusted} when it is
// malformed, about another subject, or of another predicate type.
[[nodiscard]] std::optional<Json> verify_attestation(std::string_view envelope, std::span<const PublicKey> keys,
                                                     const Digest& subject, std::string_view predicate_type);

} // namespace kiln::signing
