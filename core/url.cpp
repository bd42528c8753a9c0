// SPDX-License-Identifier: Apache-2.0
#include "core/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <arpa/inet.h>

#include <algorithm>
#include <memory>

namespace kiln
{
namespace
{

constexpr std::size_t longest_url = std::size_t{16} << 10U;

struct Cleanup {
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
    void operator()(char* text) const noexcept { curl_free(text); }
};
using Handle = std::unique_ptr<CURLU, Cleanup>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0)
{
    char* text = nullptr;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK) {
        return {};
    }
    const std::unique_ptr<char, Cleanup> owner(text);
    return text;
}

// Bytes that a parser may skip or another one may read otherwise.
bool is_plain(std::string_view text)
{
    return text.size() <= longest_url && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::optional<Url> url_of(CURLU* handle)
{
    Url url{.scheme = part_of(handle, CURLUPART_SCHEME),
            .host = part_of(handle, CURLUPART_HOST),
            .port = part_of(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT),
            .text = part_of(handle, CURLUPART_URL)};
    const bool named = !part_of(handle, CURLUPART_USER).empty() || !part_of(handle, CURLUPART_PASSWORD).empty();
    if ((url.scheme != "http" && url.scheme != "https") || url.host.empty() || named) {
        return std::nullopt;
    }
    std::ranges::transform(url.host, url.host.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return url;
}

} // namespace

std::optional<Url> parse_url(std::string_view text)
{
    const Handle handle(curl_url());
    if (!handle || !is_plain(text) ||
        curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), CURLU_PATH_AS_IS) != CURLUE_OK) {
        return std::nullopt;
    }
    return url_of(handle.get());
}

std::optional<Url> resolve_url(const Url& base, std::string_view reference)
{
    const Handle handle(curl_url());
    if (!handle || !is_plain(reference) || reference.empty() ||
        curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(), 0) != CURLUE_OK ||
        curl_url_set(handle.get(), CURLUPART_URL, std::string(reference).c_str(), 0) != CURLUE_OK) {
        return std::nullopt;
    }
    return url_of(handle.get());
}

bool is_loopback(std::string_view host)
{
    in_addr address{};
    if (::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1) {
        return (ntohl(address.s_addr) >> 24U) == 127;
    }
    return host == "localhost" || host == "[::1]";
}

std::string url_escaped(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        escaped += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return escaped;
}

} // namespace kiln
