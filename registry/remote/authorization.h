// SPDX-License-Identifier: Apache-2.0
// What lets a client into a repository: nothing, Basic (RFC 7617), or a token from the server that the registry names
// (the distribution project's token specification). Credentials go to the registry's own host; to a token server on
// another one only when the file of credentials names that host.
#pragma once

#include "core/http_client.h"
#include "core/url.h"
#include "registry/remote/credentials.h"
#include "registry/remote/remote_options.h"

#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::registry::remote
{

enum class Access { pull, push };

// Safe for many threads.
class Authorization
{
public:
    Authorization(RemoteReference reference, Url registry, Access access, const RemoteOptions& options);

    // The value of an Authorization header for the registry, once one is known.
    [[nodiscard]] std::optional<std::string> header() const;
    // After the status 401 with that WWW-Authenticate header for a request that had `used`: header() has another value
    // then. Throws Error{permission_denied} when there is none that could help, Error{network, untrusted}.
    void answer(const std::optional<std::string>& challenge, const std::optional<std::string>& used, HttpClient& client,
                const std::stop_token& stop);

private:
    void take_basic(const std::optional<std::string>& used);
    void take_token(const std::string& parameters, const std::optional<std::string>& used, HttpClient& client,
                    const std::stop_token& stop);
    [[nodiscard]] bool may_have_credentials(const Url& token_server) const;
    [[nodiscard]] std::string fetch_token(const Url& token_server, const std::string& service, HttpClient& client,
                                          const std::stop_token& stop);
    [[noreturn]] void refused(bool had_credentials) const;

    RemoteReference reference_;
    Url registry_;
    Access access_;
    const RemoteOptions& options_;
    std::optional<Credentials> credentials_;
    mutable std::mutex mutex_;
    std::optional<std::string> header_;
};

// The value of `name` in the parameters of a challenge (RFC 9110, 11.6.1); hostile text.
[[nodiscard]] std::optional<std::string> challenge_parameter(std::string_view parameters, std::string_view name);

// Whether what is sent to the URL may go in the clear: https, or a host that is this machine or was allowed.
void require_private_way(const Url& url, const RemoteReference& reference, const RemoteOptions& options);

} // namespace kiln::registry::remote
