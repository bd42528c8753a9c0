// SPDX-License-Identifier: Apache-2.0
#include "signing/statement.h"

#include "core/error.h"
#include "core/json.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view what = "signed statement";
constexpr std::string_view statement_type = "https://in-toto.io/Statement/v1";
constexpr std::string_view predicate_type = "https://kiln.invalid/ami/v1";

[[noreturn]] void refuse(std::string_view complaint)
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", what, complaint));
}

Json to_json(const Statement& statement)
{
    const std::string version = statement.version.to_string();
    const Json subject{{"name", statement.name + "@" + version}, {"digest", {{"sha256", statement.manifest.hex()}}}};
    return {{"_type", statement_type},
            {"subject", Json::array({subject})},
            {"predicateType", predicate_type},
            {"predicate",
             {{"name", statement.name},
              {"version", version},
              {"architecture", statement.architecture},
              {"account", statement.account},
              {"signed_at", statement.signed_at}}}};
}

Digest subject_digest(const Json& json)
{
    const Json& subjects = member(json, "subject", what);
    if (!subjects.is_array() || subjects.size() != 1) {
        refuse("it does not have exactly one subject");
    }
    const Json& digests = member(subjects.front(), "digest", what);
    auto digest = Digest::parse("sha256:" + string_member(digests, "sha256", what));
    if (!digest) {
        refuse("its subject has no SHA-256 digest");
    }
    return *std::move(digest);
}

Statement read(std::string_view payload)
{
    const Json json = parse_json(payload, what);
    if (string_member(json, "_type", what) != statement_type) {
        refuse("it is not an in-toto statement of version 1");
    }
    if (string_member(json, "predicateType", what) != predicate_type) {
        refuse("it does not speak about an AMI");
    }
    const Json& predicate = member(json, "predicate", what);
    const auto version = parse_semantic_version(string_member(predicate, "version", what));
    if (!version) {
        refuse("its version is not like 1.2.3");
    }
    Statement statement{string_member(predicate, "name", what),         *version,
                        string_member(predicate, "architecture", what), subject_digest(json),
                        string_member(predicate, "account", what),      string_member(predicate, "signed_at", what)};
    // Whatever Kiln would not have written itself could be a condition that it would not honour.
    if (to_json(statement) != json) {
        refuse("it holds fields that this version of Kiln does not know, or its subject is another image");
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
