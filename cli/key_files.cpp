// SPDX-License-Identifier: Apache-2.0
#include "cli/key_files.h"

#include "cli/context.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{

std::string read_passphrase(const std::string& file)
{
    if (file.empty()) {
        return {};
    }
    std::string passphrase = read_file(file, ByteSize(4096));
    while (passphrase.ends_with('\n') || passphrase.ends_with('\r')) {
        passphrase.pop_back();
    }
    if (passphrase.empty()) {
        throw Error(ErrorKind::usage, fmt::format("{} is empty", file),
                    "write the passphrase into it, or leave the option out for an unencrypted key");
    }
    return passphrase;
}

UnlockedKey load_key(const std::string& file, const std::string& passphrase_file)
{
    std::string passphrase;
    signing::SecretKey key = signing::SecretKey::load(file, [&] {
        passphrase = passphrase_file.empty() ? find_passphrase("the key in " + printable(file, false))
                                             : read_passphrase(passphrase_file);
        return passphrase;
    });
    return {std::move(key), std::move(passphrase)};
}

signing::KeyType require_key_type(const std::string& name)
{
    if (const auto type = signing::parse_key_type(name)) {
        return *type;
    }
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is no type of key", printable(name, false)),
                "choose ed25519 or ecdsa-p256");
}

} // namespace kiln::cli
