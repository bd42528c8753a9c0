// SPDX-License-Identifier: Apache-2.0
#include "signing/dsse.h"

#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "signing/base64.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::signing
{
namespace
{

constexpr std::size_t most_signatures = 32;
constexpr std::string_view envelope_document = "signature envelope";

struct Envelope {
    std::string payload;
    std::vector<std::string> signatures;
};

std::string decoded(const Json& object, std::string_view key)
{
    auto bytes = parse_base64(string_member(object, key, envelope_document));
    if (!bytes) {
        throw Error(ErrorKind::untrusted, fmt::format("{}: \"{}\" is not base64", envelope_document, key));
    }
    return *std::move(bytes);
}

// Unknown fields are ignored, as the DSSE specification asks.
Envelope parse_envelope(std::string_view text, std::string_view payload_type)
{
    const Json json = parse_json(text, envelope_document);
    const std::string type = string_member(json, "payloadType", envelope_document);
    if (type != payload_type) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{}: its payload type is {}, and {} was expected", envelope_document,
                                printable(type.substr(0, 200), false), payload_type));
    }
    const Json& signatures = member(json, "signatures", envelope_document);
    if (!signatures.is_array() || signatures.empty() || signatures.size() > most_signatures) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{}: it does not have 1 to {} signatures", envelope_document, most_signatures));
    }
    Envelope envelope{decoded(json, "payload"), {}};
    for (const Json& signature : signatures) {
        envelope.signatures.push_back(decoded(signature, "sig"));
    }
    return envelope;
}

} // namespace

std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload)
{
    return fmt::format("DSSEv1 {} {} {} {}", payload_type.size(), payload_type, payload.size(), payload);
}

std::string sign_envelope(std::string_view payload_type, std::string_view payload, const SecretKey& key)
{
    return sign_envelope(payload_type, payload, std::span(&key, 1));
}

std::string sign_envelope(std::string_view payload_type, std::string_view payload, std::span<const SecretKey> keys)
{
    const std::string message = pre_authentication_encoding(payload_type, payload);
    Json signatures = Json::array();
    for (const SecretKey& key : keys) {
        signatures.push_back({{"keyid", key.public_key().key_id()}, {"sig", base64(key.sign(message))}});
    }
    return canonical_json(
        {{"payload", base64(payload)}, {"payloadType", payload_type}, {"signatures", std::move(signatures)}});
}

std::optional<VerifiedPayload> verify_envelope(std::string_view envelope, std::string_view payload_type,
                                               std::span<const PublicKey> keys)
{
    Envelope parsed = as_untrusted([&] { return parse_envelope(envelope, payload_type); });
    const std::string message = pre_authentication_encoding(payload_type, parsed.payload);
    VerifiedPayload verified;
    for (const PublicKey& key : keys) {
        const std::string id = key.key_id();
        const bool counted = std::find(verified.key_ids.begin(), verified.key_ids.end(), id) != verified.key_ids.end();
        const bool signed_it =
            std::any_of(parsed.signatures.begin(), parsed.signatures.end(),
                        [&](const std::string& signature) { return key.verify(message, signature); });
        if (signed_it && !counted) {
            verified.key_ids.push_back(id);
        }
    }
    if (verified.key_ids.empty()) {
        return std::nullopt;
    }
    verified.payload = std::move(parsed.payload);
    return verified;
}

} // namespace kiln::signing
