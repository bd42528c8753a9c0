// SPDX-License-Identifier: Apache-2.0
// URLs of http and https, by libcurl's own parser: what is checked here is what is then asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kiln
{

struct Url {
    std::string scheme; // "http" or "https"
    std::string host;   // as in the URL, an IPv6 address in brackets
    std::string port;   // also the default one
    std::string text;   // the whole URL

    // Scheme, host and port: who gets what is sent there.
    [[nodiscard]] std::string origin() const { return scheme + "://" + host + ":" + port; }
};

// nullopt for another scheme, a name or password in it, or what is no absolute URL.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);

// Where `reference`, of a Location header at `base`, leads; nullopt as parse_url.
[[nodiscard]] std::optional<Url> resolve_url(const Url& base, std::string_view reference);

// Whether the host of a URL is this machine by its name: localhost, 127.0.0.0/8 or [::1].
[[nodiscard]] bool is_loopback(std::string_view host);

// `text` for a query of a URL.
[[nodiscard]] std::string url_escaped(std::string_view text);

} // namespace kiln
