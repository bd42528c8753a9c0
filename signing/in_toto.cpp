// SPDX-License-Identifier: Apache-2.0
#include "signing/in_toto.h"

#include "core/error.h"

#include <fmt/format.h>

namespace kiln::signing
{

Json in_toto_statement(const std::string& subject_name, const Digest& subject, std::string_view predicate_type,
                       Json predicate)
{
    const Json one{{"name", subject_name}, {"digest", {{"sha256", subject.hex()}}}};
    return {{"_type", in_toto_statement_type},
            {"subject", Json::array({one})},
            {"predicateType", predicate_type},
            {"predicate", std::move(predicate)}};
}

void require_in_toto(const Json& statement, std::string_view what)
{
    if (string_member(statement, "_type", what) != in_toto_statement_type) {
        refuse(what, "it is not an in-toto statement of version 1");
    }
}

// A subject is matched by its digest only; its name is for people.
Digest subject_of(const Json& statement, std::string_view what)
{
    const Json& subjects = member(statement, "subject", what);
    if (!subjects.is_array() || subjects.size() != 1) {
        refuse(what, "it does not have exactly one subject");
    }
    auto digest = Digest::parse("sha256:" + string_member(member(subjects.front(), "digest", what), "sha256", what));
    if (!digest) {
        refuse(what, "its subject has no SHA-256 digest");
    }
    return *std::move(digest);
}

void refuse(std::string_view what, std::string_view complaint, std::string hint)
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", what, complaint), std::move(hint));
}

} // namespace kiln::signing
