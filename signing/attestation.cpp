// SPDX-License-Identifier: Apache-2.0
#include "signing/attestation.h"

#include "core/error.h"
#include "signing/dsse.h"
#include "signing/in_toto.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view attestation_document = "attestation";

Json read_predicate(std::string_view payload, const Digest& subject, std::string_view predicate_type)
{
    const Json json = parse_json(payload, attestation_document);
    require_in_toto(json, attestation_document);
    if (string_member(json, "predicateType", attestation_document) != predicate_type) {
        refuse(attestation_document, fmt::format("its predicate is not of type {}", predicate_type));
    }
    if (subject_of(json, attestation_document) != subject) {
        refuse(attestation_document, "it is about another image");
    }
    const Json& predicate = member(json, "predicate", attestation_document);
    if (!predicate.is_object()) {
        refuse(attestation_document, "its predicate is not an object");
    }
    return predicate;
}

} // namespace

std::string sign_attestation(const Attestation& attestation, const SecretKey& key)
{
    const Json statement = in_toto_statement(attestation.subject_name, attestation.subject, attestation.predicate_type,
                                             attestation.predicate);
    return sign_envelope(in_toto_payload_type, canonical_json(statement), key);
}

std::optional<Json> verify_attestation(std::string_view envelope, std::span<const PublicKey> keys,
                                       const Digest& subject, std::string_view predicate_type)
{
    const auto verified = verify_envelope(envelope, in_toto_payload_type, keys);
    if (!verified) {
        return std::nullopt;
    }
    return as_untrusted([&] { return read_predicate(verified->payload, subject, predicate_type); });
}

} // namespace kiln::signing
