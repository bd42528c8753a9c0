// SPDX-License-Identifier: Apache-2.0
// DSSE 1.0 (Dead Simple Signing Envelope): the signature covers PAE(payloadType, payload), so a
// payload can't be read as another type. The key id in an envelope is a hint and decides nothing.
#pragma once

#include "signing/keys.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::signing
{

inline constexpr std::string_view in_toto_payload_type = "application/vnd.in-toto+json";

// "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
[[nodiscard]] std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload);

// The envelope as canonical JSON; with a signature of each key.
[[nodiscard]] std::string sign_envelope(std::string_view payload_type, std::string_view payload, const SecretKey& key);
[[nodiscard]] std::string sign_envelope(std::string_view payload_type, std::string_view payload,
                                        std::span<const SecretKey> keys);

struct VerifiedPayload {
    std::string payload;
    std::vector<std::string> key_ids; // of the distinct keys in `keys` that signed it
};

// nullopt when no key of `keys` signed it. Throws Error{untrusted} for a malformed envelope or
// another payload type. Accepts standard and URL-safe base64.
[[nodiscard]] std::optional<VerifiedPayload> verify_envelope(std::string_view envelope, std::string_view payload_type,
                                                             std::span<const PublicKey> keys);

} // namespace kiln::signing
