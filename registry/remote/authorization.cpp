// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/authorization.h"

#include "core/error.h"
#include "core/json.h"
#include "registry/remote/failure.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry::remote
{
namespace
{

constexpr std::size_t largest_token_answer = std::size_t{256} << 10U;
constexpr std::size_t longest_token = std::size_t{32} << 10U;

bool equal_words(std::string_view one, std::string_view other)
{
    return std::ranges::equal(one, other, [](char a, char b) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        return lower(a) == lower(b);
    });
}

std::string basic(const Credentials& credentials)
{
    return "Basic " + signing::base64(credentials.user + ":" + credentials.password);
}

// A header's value is one line of it.
bool is_token(const std::string& text)
{
    return !text.empty() && text.size() <= longest_token &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// Takes `name = value` or `name = "value"` off the text; false at what is neither.
bool take_parameter(std::string_view& text, std::string_view& name, std::string& value)
{
    text.remove_prefix(std::min(text.find_first_not_of(" \t,"), text.size()));
    const std::size_t end = text.find_first_of("= \t,");
    if (end == std::string_view::npos || text[end] != '=') {
        return false;
    }
    name = text.substr(0, end);
    text.remove_prefix(end + 1);
    value.clear();
    if (!text.starts_with('"')) {
        const std::size_t length = std::min(text.find_first_of(", \t"), text.size());
        value = text.substr(0, length);
        text.remove_prefix(length);
        return true;
    }
    text.remove_prefix(1);
    while (!text.empty() && text.front() != '"') {
        text.remove_prefix(text.front() == '\\' ? 1 : 0);
        if (text.empty()) {
            return false;
        }
        value += text.front();
        text.remove_prefix(1);
    }
    const bool closed = text.starts_with('"');
    text.remove_prefix(closed ? 1 : 0);
    return closed;
}

} // namespace

std::optional<std::string> challenge_parameter(std::string_view parameters, std::string_view name)
{
    std::string_view found;
    std::string value;
    while (take_parameter(parameters, found, value)) {
        if (equal_words(found, name)) {
            return value;
        }
    }
    return std::nullopt;
}

void require_private_way(const Url& url, const RemoteReference& reference, const RemoteOptions& options)
{
    if (url.scheme != "https" && !options.plain_http && !is_loopback(url.host)) {
        throw remote_error(
            reference, ErrorKind::untrusted,
            fmt::format("it leads to http://{}, where anybody on the way can read and change all", url.host),
            "ask its operator for TLS; --plain-http allows it");
    }
}

Authorization::Authorization(RemoteReference reference, Url registry, Access access, const RemoteOptions& options)
    : reference_(std::move(reference)), registry_(std::move(registry)), access_(access), options_(options),
      credentials_(find_credentials(options.credential_files, reference_))
{
}

std::optional<std::string> Authorization::header() const
{
    const std::lock_guard lock(mutex_);
    return header_;
}

void Authorization::answer(const std::optional<std::string>& challenge, const std::optional<std::string>& used,
                           HttpClient& client, const std::stop_token& stop)
{
    const std::lock_guard lock(mutex_);
    if (header_ != used) {
        return; // another thread was faster
    }
    const std::string text = challenge.value_or("");
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view scheme = std::string_view(text).substr(0, space);
    if (equal_words(scheme, "basic")) {
        return take_basic(used);
    }
    if (equal_words(scheme, "bearer")) {
        return take_token(text.substr(space), used, client, stop);
    }
    throw remote_error(reference_, ErrorKind::permission_denied, "it asks for a kind of login that Kiln does not know",
                       "Kiln knows Basic and Bearer");
}

void Authorization::take_basic(const std::optional<std::string>& used)
{
    if (!credentials_ || used) {
        refused(used.has_value());
    }
    header_ = basic(*credentials_);
}

void Authorization::take_token(const std::string& parameters, const std::optional<std::string>& used,
                               HttpClient& client, const std::stop_token& stop)
{
    const auto realm = challenge_parameter(parameters, "realm");
    const auto token_server = realm ? parse_url(*realm) : std::nullopt;
    if (!token_server) {
        throw not_a_registry(reference_, "its challenge names no URL of a token server");
    }
    require_private_way(*token_server, reference_, options_);
    if (registry_.scheme == "https" && token_server->scheme != "https") {
        throw remote_error(reference_, ErrorKind::untrusted, "its token server speaks plain http",
                           "ask its operator for TLS");
    }
    // A token that was refused right after it was fetched gets no better by another one; an old one may have ended.
    const auto error = challenge_parameter(parameters, "error");
    if (used && error && *error == "insufficient_scope") {
        refused(credentials_.has_value());
    }
    header_ =
        "Bearer " + fetch_token(*token_server, challenge_parameter(parameters, "service").value_or(""), client, stop);
}

bool Authorization::may_have_credentials(const Url& token_server) const
{
    if (!credentials_) {
        return false;
    }
    if (token_server.host == registry_.host) {
        return true;
    }
    const auto& named = credentials_->token_host;
    return named && (*named == token_server.host || *named == token_server.host + ":" + token_server.port);
}

std::string Authorization::fetch_token(const Url& token_server, const std::string& service, HttpClient& client,
                                       const std::stop_token& stop)
{
    const bool with_credentials = may_have_credentials(token_server);
    std::string url = token_server.text;
    url += url.find('?') == std::string::npos ? '?' : '&';
    url += fmt::format("scope={}", url_escaped(fmt::format("repository:{}:{}", reference_.repository,
                                                           access_ == Access::push ? "pull,push" : "pull")));
    if (!service.empty()) {
        url += "&service=" + url_escaped(service);
    }
    std::string body;
    HttpRequest request{.url = url,
                        .take =
                            [&](const HttpHead&, std::string_view piece) {
                                body += piece;
                                return body.size() <= largest_token_answer;
                            },
                        .ca_file = options_.ca_file,
                        .proxies = !is_loopback(token_server.host),
                        .connect_limit = options_.limits.connect,
                        .limit = options_.limits.document,
                        .stop = stop};
    if (with_credentials) {
        request.headers.push_back("Authorization: " + basic(*credentials_));
    }
    const HttpAnswer answer = client.perform(request);
    if (answer.failure != HttpFailure::none) {
        throw_transport_failure(reference_, answer, "the token server at " + token_server.host);
    }
    if (answer.head.status == 401 || answer.head.status == 403) {
        if (credentials_ && !with_credentials) {
            throw remote_error(
                reference_, ErrorKind::permission_denied,
                fmt::format("its token server is at another host, {}, which does not get the credentials",
                            token_server.host),
                fmt::format(R"(if it may have them, add "kiln_token_host": "{}" to the entry in {})", token_server.host,
                            credentials_->file));
        }
        refused(with_credentials);
    }
    if (answer.head.status != 200) {
        throw_status_failure(reference_, answer.head, {}, "the token server at " + token_server.host);
    }
    std::string token;
    try {
        const Json json = parse_json(body, "token");
        for (const char* key : {"access_token", "token"}) {
            if (json.contains(key) && json[key].is_string()) {
                token = json[key].get<std::string>();
            }
        }
    } catch (const Error&) { // NOLINT(bugprone-empty-catch): its message would show a part of the answer
    }
    if (!is_token(token)) {
        throw not_a_registry(reference_, "its token server gives no token");
    }
    return token;
}

void Authorization::refused(bool had_credentials) const
{
    if (had_credentials && credentials_) {
        throw remote_error(
            reference_, ErrorKind::permission_denied,
            fmt::format("it refuses the name and password in {}, or they don't allow this", credentials_->file),
            "log in anew, as with `skopeo login --authfile FILE HOST`");
    }
    throw remote_error(
        reference_, ErrorKind::permission_denied,
        fmt::format("it asks for a login, and no file has credentials for {}", reference_.host),
        "`skopeo login --authfile FILE HOST` writes a file; REGISTRY_AUTH_FILE names it (docs/remotes.md)");
}

} // namespace kiln::registry::remote
