// SPDX-License-Identifier: Apache-2.0
// The signed statement of an AMI: an in-toto Statement v1 that binds name, version, architecture and
// the OCI manifest's digest, so that a signature can't be moved to another image.
#pragma once

#include "core/digest.h"
#include "core/semantic_version.h"

#include <string>
#include <string_view>

namespace kiln::signing
{

struct Statement {
    std::string name;
    SemanticVersion version;
    std::string architecture;
    Digest manifest;
    std::string account; // who says so; 12 digits
    std::string signed_at;
};

[[nodiscard]] std::string statement_payload(const Statement& statement);
// Throws Error{untrusted} unless it is such a statement with exactly one subject.
[[nodiscard]] Statement parse_statement(std::string_view payload);

} // namespace kiln::signing
