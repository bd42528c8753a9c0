// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/failure.h"

#include "core/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace kiln::registry::remote
{
namespace
{

// OCI distribution specification 1.1, error codes.
constexpr std::array<std::string_view, 15> known_codes{
    "BLOB_UNKNOWN",     "BLOB_UPLOAD_INVALID",   "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",   "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED",   "NAME_INVALID",
    "NAME_UNKNOWN",     "SIZE_INVALID",          "UNAUTHORIZED",
    "DENIED",           "UNSUPPORTED",           "TOOMANYREQUESTS"};

std::string code_of(std::string_view body)
{
    try {
        const Json json = parse_json(body, "answer");
        const std::string code = string_member(member(json, "errors", "answer").at(0), "code", "answer");
        if (std::ranges::find(known_codes, code) != known_codes.end()) {
            return fmt::format(" ({})", code);
        }
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): whatever it says, it says no code
    }
    return {};
}

std::optional<std::chrono::seconds> retry_after(const HttpHead& head)
{
    const std::string text = head.header("retry-after").value_or("");
    unsigned seconds = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (failure != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return std::chrono::seconds(seconds);
}

} // namespace

Error remote_error(const RemoteReference& reference, ErrorKind kind, std::string_view what, std::string hint)
{
    return {kind, fmt::format("the registry {}, repository {}: {}", reference.host, reference.repository, what),
            std::move(hint)};
}

void throw_transport_failure(const RemoteReference& reference, const HttpAnswer& answer, std::string_view who)
{
    const auto passing = [&](std::string_view what, std::string hint) {
        return PassingError(remote_error(reference, ErrorKind::network, what, std::move(hint)), std::nullopt);
    };
    switch (answer.failure) {
    case HttpFailure::no_answer:
        throw passing(fmt::format("{} can't be reached: {}", who, answer.reason),
                      "check its host and port, and the network; http_proxy and https_proxy are used");
    case HttpFailure::too_slow:
        throw passing(fmt::format("{} is too slow, or does not answer", who), "try again later");
    case HttpFailure::bad_certificate:
        throw remote_error(reference, ErrorKind::untrusted,
                           fmt::format("{} has no certificate that is trusted for this host", who),
                           "if its operator has an authority of his own: --ca FILE, with that one's certificate");
    case HttpFailure::bad_ca_file:
        throw remote_error(reference, ErrorKind::usage, "the file of --ca holds no certificates that can be read",
                           "it is in PEM form");
    case HttpFailure::long_headers:
        throw not_a_registry(reference, fmt::format("{} sends headers without end", who));
    default:
        throw passing(fmt::format("the connection to {} ended early: {}", who, answer.reason), "try again");
    }
}

void throw_status_failure(const RemoteReference& reference, const HttpHead& head, std::string_view body,
                          std::string_view who)
{
    const std::string what = fmt::format("{} answers with the status {}{}", who, head.status, code_of(body));
    if (head.status == 401 || head.status == 403) {
        throw remote_error(reference, ErrorKind::permission_denied, what,
                           "the account there may not do this; log in as one that may (docs/remotes.md)");
    }
    if (head.status == 404) {
        throw remote_error(reference, ErrorKind::not_found, what, "check the repository and the tag");
    }
    if (head.status == 429 || head.status >= 500) {
        throw PassingError(remote_error(reference, ErrorKind::network, what, "try again later, or ask its operator"),
                           retry_after(head));
    }
    throw remote_error(reference, ErrorKind::network, what, "is this a registry of the OCI distribution API?");
}

Error not_a_registry(const RemoteReference& reference, std::string_view what)
{
    return remote_error(reference, ErrorKind::network, what, "is this a registry of the OCI distribution API?");
}

} // namespace kiln::registry::remote
