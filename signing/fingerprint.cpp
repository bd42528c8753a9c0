// SPDX-License-Identifier: Apache-2.0
#include "signing/fingerprint.h"

#include "signing/base64.h"
#include "signing/openssl.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace kiln::signing
{
namespace
{

std::string digest_bytes(const EVP_MD* algorithm, std::string_view bytes)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, algorithm, nullptr) != 1) {
        openssl_failed("computing a fingerprint");
    }
    return {digest.begin(), digest.begin() + length};
}

std::string with_colons(const std::string& digest)
{
    std::string text;
    for (const char byte : digest) {
        text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<unsigned char>(byte));
    }
    return text;
}

} // namespace

std::string md5_fingerprint(std::string_view bytes)
{
    return with_colons(digest_bytes(EVP_md5(), bytes));
}

std::string sha1_fingerprint(std::string_view bytes)
{
    return with_colons(digest_bytes(EVP_sha1(), bytes));
}

std::string sha256_fingerprint(std::string_view bytes)
{
    return base64(digest_bytes(EVP_sha256(), bytes));
}

} // namespace kiln::signing
