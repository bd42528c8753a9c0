// SPDX-License-Identifier: Apache-2.0
// Keys for tests: the secret key of a raw Ed25519 seed, by way of the PKCS#8 file that Kiln reads.
#pragma once

#include "core/files.h"
#include "signing/base64.h"
#include "signing/keys.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace kiln::test
{

inline std::string from_hex(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    }
    return bytes;
}

// RFC 8410, section 7: the PrivateKeyInfo of an Ed25519 seed.
inline signing::SecretKey secret_key_of_seed(std::string_view seed_hex, const std::filesystem::path& file)
{
    const std::string der = from_hex("302e020100300506032b657004220420") + from_hex(seed_hex);
    write_file_durably(file, "-----BEGIN PRIVATE KEY-----\n" + signing::base64(der) + "\n-----END PRIVATE KEY-----\n",
                       0600);
    return signing::SecretKey::load(file, nullptr);
}

} // namespace kiln::test
