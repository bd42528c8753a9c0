// SPDX-License-Identifier: Apache-2.0
#include "registry/launch_statement.h"

#include "bundle/field_rules.h"
#include "core/error.h"
#include "registry/lifecycle.h"
#include "signing/attestation.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kiln::registry
{
namespace
{

constexpr std::string_view launch_predicate_type = "https://kiln.invalid/launch-permission/v1";
constexpr std::string_view launch_permission_document = "launch permission";

Json to_json(const LaunchStatement& statement)
{
    return {{"public", statement.is_public},
            {"accounts", statement.accounts},
            {"at", statement.at},
            {"event", statement.event}};
}

LaunchStatement read(const Json& predicate)
{
    LaunchStatement statement{.is_public = bool_member(predicate, "public", launch_permission_document),
                              .at = string_member(predicate, "at", launch_permission_document),
                              .event = integer_member(predicate, "event", launch_permission_document)};
    const Json& accounts = member(predicate, "accounts", launch_permission_document);
    if (!accounts.is_array() || accounts.size() > most_launch_accounts || !bundle::is_time(statement.at)) {
        throw Error(ErrorKind::untrusted, "the launch permission is malformed");
    }
    for (const Json& account : accounts) {
        if (!account.is_string() || !bundle::is_account(account.get_ref<const std::string&>())) {
            throw Error(ErrorKind::untrusted, "the launch permission names what is no account");
        }
        statement.accounts.push_back(account.get<std::string>());
    }
    // Whatever Kiln would not have written itself could be a condition that it would not honour.
    if (!std::ranges::is_sorted(statement.accounts) || to_json(statement) != predicate) {
        throw Error(ErrorKind::untrusted, "the launch permission holds what this version of Kiln does not know");
    }
    return statement;
}

} // namespace

std::string sign_launch_statement(const Image& image, const std::string& at, const signing::SecretKey& key)
{
    return signing::sign_attestation({.subject_name = fmt::format("{}@{}", image.name, image.version.to_string()),
                                      .subject = image.manifest,
                                      .predicate_type = std::string(launch_predicate_type),
                                      .predicate = to_json({.is_public = image.launch_public,
                                                            .accounts = image.launch_accounts,
                                                            .at = at,
                                                            .event = image.last_event})},
                                     key);
}

std::optional<LaunchStatement> newest_launch_statement(std::span<const std::string> envelopes, const Digest& image,
                                                       std::span<const signing::PublicKey> keys)
{
    std::optional<LaunchStatement> newest;
    for (const std::string& envelope : envelopes) {
        try {
            const auto predicate = signing::verify_attestation(envelope, keys, image, launch_predicate_type);
            if (!predicate) {
                continue;
            }
            LaunchStatement statement = read(*predicate);
            if (!newest || std::tie(statement.at, statement.event) > std::tie(newest->at, newest->event)) {
                newest = std::move(statement);
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::untrusted && error.kind() != ErrorKind::io) { // {io}: of JSON members
                throw;
            }
        }
    }
    return newest;
}

} // namespace kiln::registry
