// SPDX-License-Identifier: Apache-2.0
// What all in-toto statements of Kiln's have in common (https://github.com/in-toto/attestation, Statement v1): one
// subject, told by its SHA-256. Private to signing/. `what` names the document in the error.
#pragma once

#include "core/digest.h"
#include "core/json.h"

#include <string>
#include <string_view>

namespace kiln::signing
{

inline constexpr std::string_view in_toto_statement_type = "https://in-toto.io/Statement/v1";

[[nodiscard]] Json in_toto_statement(const std::string& subject_name, const Digest& subject,
                                     std::string_view predicate_type, Json predicate);

// All below throw Error{untrusted}.
void require_in_toto(const Json& statement, std::string_view what);
[[nodiscard]] Digest subject_of(const Json& statement, std::string_view what);
[[noreturn]] void refuse(std::string_view what, std::string_view complaint, std::string hint = {});

} // namespace kiln::signing
