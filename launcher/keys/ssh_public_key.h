// SPDX-License-Identifier: Apache-2.0
// A public key of SSH as authorized_keys has it: "TYPE BASE64 COMMENT" (RFC 4253, section 6.6; RFC 8709).
#pragma once

#include <string>
#include <string_view>

namespace kiln::launcher
{

struct SshPublicKey {
    std::string type;    // "ed25519" or "rsa"
    std::string text;    // "ssh-ed25519 AAAA...", without a comment
    std::string bytes;   // what the base64 stands for
    std::string comment; // may be empty
};

// Of one line, perhaps with its end. Throws Error{usage} for anything else: options before the key, another type, a
// key that is not what its type says, RSA of less than 2048 or more than 16384 bits.
[[nodiscard]] SshPublicKey parse_ssh_public_key(std::string_view line);

} // namespace kiln::launcher
