// SPDX-License-Identifier: Apache-2.0
#include "signing/attestation.h"

#include "core/error.h"
#include "signing/dsse.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view what = "attestation";
constexpr std::string_view statement_type = "https://in-toto.io/Statement/v1";

[[noreturn]] void refuse(std::string_view complaint)
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", what, complaint));
}

Json read_predicate(std::string_view payload, const Digest& subject, std::string_view predicate_type)
{
    const Json json = parse_json(payload, what);
    if (string_member(json, "_type", what) != statement_type) {
        refuse("it is not an in-toto statement of version 1");
    }
    if (string_member(json, "predicateType", what) != predicate_type) {
        refuse(fmt::format("its predicate is not of type {}", predicate_type));
    }
    const Json& subjects = member(json, "subject", what);
    if (!subjects.is_array() || subjects.size() != 1) {
        refuse("it does not have exactly one subject");
    }
    // A subject is matched by its digest only; its name is for people.
    if (string_member(member(subjects.front(), "digest", what), "sha256", what) != subject.hex()) {
        refuse("it is about another image");
    }
    const Json& predicate = member(json, "predicate", what);
    if (!predicate.is_object()) {
        refuse("its predicate is not an object");
    }
    return predicate;
}

} // namespace

std::string sign_attestation(const Attestation& attestation, const SecretKey& key)
{
    const Json subject{{"name", attestation.subject_name}, {"digest", {{"sha256", attestation.subject.hex()}}}};
    const Json statement{{"_type", statement_type},
                         {"subject", Json::array({subject})},
                         {"predicateType", attestation.predicate_type},
                         {"predicate", attestation.predicate}};
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
