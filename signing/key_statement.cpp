// SPDX-License-Identifier: Apache-2.0
#include "signing/key_statement.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "signing/base64.h"
#include "signing/dsse.h"
#include "signing/in_toto.h"
#include "signing/trust_store.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

#include <array>

namespace kiln::signing
{
namespace
{

constexpr std::string_view rotation_type = "https://kiln.invalid/key-rotation/v1";
constexpr std::string_view revocation_type = "https://kiln.invalid/key-revocation/v1";
constexpr std::string_view key_statement_document = "key statement";

Json statement_of(std::string_view account, const std::string& key_id, std::string_view type, Json predicate)
{
    return in_toto_statement(fmt::format("a key of account {}", account), Digest::parse(key_id).value(), type,
                             std::move(predicate));
}

Json to_json(const Rotation& rotation)
{
    return statement_of(rotation.account, rotation.old_key, rotation_type,
                        {{"account", rotation.account},
                         {"new_key", rotation.new_key.to_pem()},
                         {"keeps_images", rotation.keeps_images},
                         {"at", rotation.at}});
}

Json to_json(const Revocation& revocation)
{
    return statement_of(revocation.account, revocation.key, revocation_type,
                        {{"account", revocation.account},
                         {"reason", revocation.reason},
                         {"since", revocation.since ? Json(*revocation.since) : Json()},
                         {"by", revocation.by},
                         {"at", revocation.at}});
}

std::string account_member(const Json& predicate, std::string_view key)
{
    std::string account = string_member(predicate, key, key_statement_document);
    if (!is_account_id(account)) {
        refuse(key_statement_document, fmt::format("\"{}\" is not an account of 12 digits", key));
    }
    return account;
}

std::string time_member(const Json& predicate, std::string_view key)
{
    std::string time = string_member(predicate, key, key_statement_document);
    if (!is_iso_time(time)) {
        refuse(key_statement_document, fmt::format("\"{}\" is not a time like 2026-11-23T17:44:58Z", key));
    }
    return time;
}

// Whatever Kiln would not have written itself could be a condition that it would not honour.
template <typename Said> Said require_exact(Said said, const Json& json)
{
    if (to_json(said) != json) {
        refuse(key_statement_document, "it holds fields that this version of Kiln does not know");
    }
    return said;
}

Rotation read_rotation(const Json& json)
{
    const Json& predicate = member(json, "predicate", key_statement_document);
    return require_exact(
        Rotation{.account = account_member(predicate, "account"),
                 .old_key = subject_of(json, key_statement_document).to_string(),
                 .new_key = PublicKey::from_pem(string_member(predicate, "new_key", key_statement_document)),
                 .keeps_images = bool_member(predicate, "keeps_images", key_statement_document),
                 .at = time_member(predicate, "at")},
        json);
}

Revocation read_revocation(const Json& json)
{
    const Json& predicate = member(json, "predicate", key_statement_document);
    Revocation revocation{.account = account_member(predicate, "account"),
                          .key = subject_of(json, key_statement_document).to_string(),
                          .reason = string_member(predicate, "reason", key_statement_document),
                          .since = {},
                          .by = account_member(predicate, "by"),
                          .at = time_member(predicate, "at")};
    if (revocation.reason.empty() || revocation.reason.size() > longest_reason ||
        printable(revocation.reason, false) != revocation.reason) {
        refuse(key_statement_document, "its reason is empty, too long, or holds control characters");
    }
    if (!member(predicate, "since", key_statement_document).is_null()) {
        revocation.since = time_member(predicate, "since");
    }
    return require_exact(std::move(revocation), json);
}

Json parse(std::string_view payload, std::string_view type)
{
    Json json = parse_json(payload, key_statement_document);
    if (string_member(json, "predicateType", key_statement_document) != type) {
        refuse(key_statement_document, fmt::format("it is not of type {}", type));
    }
    return json;
}

} // namespace

std::string sign_rotation(const Rotation& rotation, const SecretKey& old_key, const SecretKey& new_key)
{
    const std::array keys{old_key, new_key};
    return sign_envelope(in_toto_payload_type, canonical_json(to_json(rotation)), keys);
}

Rotation verify_rotation(std::string_view envelope, std::string_view account, const PublicKey& old_key)
{
    const auto by_old = verify_envelope(envelope, in_toto_payload_type, std::array{old_key});
    if (!by_old) {
        refuse(key_statement_document, "the key that it is about did not sign it");
    }
    Rotation rotation = as_untrusted([&] { return read_rotation(parse(by_old->payload, rotation_type)); });
    if (rotation.account != account || rotation.old_key != old_key.key_id()) {
        refuse(key_statement_document, "it is about another key");
    }
    if (!verify_envelope(envelope, in_toto_payload_type, std::array{rotation.new_key})) {
        refuse(key_statement_document, "the new key did not sign it");
    }
    if (rotation.new_key.key_id() == rotation.old_key) {
        refuse(key_statement_document, "a key can't follow itself");
    }
    return rotation;
}

std::string sign_revocation(const Revocation& revocation, const SecretKey& key)
{
    return sign_envelope(in_toto_payload_type, canonical_json(to_json(revocation)), key);
}

Revocation verify_revocation(std::string_view envelope, std::span<const PublicKey> keys)
{
    const auto verified = verify_envelope(envelope, in_toto_payload_type, keys);
    if (!verified) {
        refuse(key_statement_document, "no key that is trusted for the account that says so signed it");
    }
    return as_untrusted([&] { return read_revocation(parse(verified->payload, revocation_type)); });
}

KeyStatementClaim claim_of(std::string_view envelope)
{
    return as_untrusted([&] {
        const auto payload = parse_base64(
            string_member(parse_json(envelope, key_statement_document), "payload", key_statement_document));
        if (!payload) {
            refuse(key_statement_document, "\"payload\" is not base64");
        }
        const Json json = parse_json(*payload, key_statement_document);
        const std::string type = string_member(json, "predicateType", key_statement_document);
        if (type == rotation_type) {
            const Rotation rotation = read_rotation(json);
            return KeyStatementClaim{KeyStatementClaim::Kind::rotation, rotation.account, rotation.old_key,
                                     rotation.account};
        }
        if (type != revocation_type) {
            refuse(key_statement_document, "it is neither a rotation nor a revocation");
        }
        const Revocation revocation = read_revocation(json);
        return KeyStatementClaim{KeyStatementClaim::Kind::revocation, revocation.account, revocation.key,
                                 revocation.by};
    });
}

} // namespace kiln::signing
