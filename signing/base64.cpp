// SPDX-License-Identifier: Apache-2.0
#include "signing/base64.h"

#include "core/error.h"
#include "signing/openssl.h"

#include <algorithm>
#include <climits>

namespace kiln::signing
{
namespace
{

constexpr std::string_view url_safe = "-_";
constexpr std::string_view standard = "+/";

bool is_alphabet(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

// The text without padding in the standard alphabet; nullopt when that can't be.
std::optional<std::string> normalized(std::string_view text)
{
    const bool padded = text.ends_with('=');
    if (padded && text.size() % 4 != 0) {
        return std::nullopt;
    }
    for (int i = 0; i < 2 && text.ends_with('='); ++i) {
        text.remove_suffix(1);
    }
    if (text.find_first_of(url_safe) != std::string_view::npos &&
        text.find_first_of(standard) != std::string_view::npos) {
        return std::nullopt;
    }
    std::string plain(text);
    std::replace(plain.begin(), plain.end(), '-', '+');
    std::replace(plain.begin(), plain.end(), '_', '/');
    if (plain.size() % 4 == 1 || !std::all_of(plain.begin(), plain.end(), is_alphabet)) {
        return std::nullopt;
    }
    return plain;
}

} // namespace

std::string base64(std::string_view bytes)
{
    if (bytes.size() > INT_MAX / 2) {
        throw Error(ErrorKind::internal, "a payload is too large for base64");
    }
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0'); // OpenSSL adds a NUL
    const int length = EVP_EncodeBlock(as_bytes(text), as_bytes(bytes), static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

std::optional<std::string> parse_base64(std::string_view text)
{
    if (text.size() > INT_MAX / 2) {
        return std::nullopt;
    }
    auto plain = normalized(text);
    if (!plain || plain->empty()) {
        return plain;
    }
    const std::size_t padding = (4 - plain->size() % 4) % 4;
    const std::string padded = *plain + std::string(padding, '=');
    std::string bytes(padded.size() / 4 * 3, '\0');
    const int length = EVP_DecodeBlock(as_bytes(bytes), as_bytes(padded), static_cast<int>(padded.size()));
    if (length < 0) {
        return std::nullopt;
    }
    bytes.resize(static_cast<std::size_t>(length) - padding);
    // The last digit may have bits that no byte comes from; two texts must not mean one signature.
    return base64(bytes) == padded ? std::optional(bytes) : std::nullopt;
}

} // namespace kiln::signing
