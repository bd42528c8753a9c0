// SPDX-License-Identifier: Apache-2.0
#include "signing/statement.h"

#include "core/error.h"
#include "core/json.h"
#include "signing/in_toto.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view signed_statement = "signed statement";
constexpr std::string_view ami_predicate_type = "https://kiln.invalid/ami/v1";

Json to_json(const Statement& statement)
{
    const std::string version = statement.version.to_string();
    return in_toto_statement(statement.name + "@" + version, statement.manifest, ami_predicate_type,
                             {{"name", statement.name},
                              {"version", version},
                              {"architecture", statement.architecture},
                              {"account", statement.account},
                              {"signed_at", statement.signed_at}});
}

Statement read(std::string_view payload)
{
    const Json json = parse_json(payload, signed_statement);
    require_in_toto(json, signed_statement);
    if (string_member(json, "predicateType", signed_statement) != ami_predicate_type) {
        refuse(signed_statement, "it does not speak about an AMI");
    }
    const Json& predicate = member(json, "predicate", signed_statement);
    const auto version = parse_semantic_version(string_member(predicate, "version", signed_statement));
    if (!version) {
        refuse(signed_statement, "its version is not like 1.2.3");
    }
    Statement statement{string_member(predicate, "name", signed_statement),
                        *version,
                        string_member(predicate, "architecture", signed_statement),
                        subject_of(json, signed_statement),
                        string_member(predicate, "account", signed_statement),
                        string_member(predicate, "signed_at", signed_statement)};
    // Whatever Kiln would not have written itself could be a condition that it would not honour.
    if (to_json(statement) != json) {
        refuse(signed_statement,
               "it holds fields that this version of Kiln does not know, or its subject is another image");
    }
    return statement;
}

} // namespace

std::string statement_payload(const Statement& statement)
{
    return canonical_json(to_json(statement));
}

Statement parse_statement(std::string_view payload)
{
    return as_untrusted([&] { return read(payload); });
}

} // namespace kiln::signing
