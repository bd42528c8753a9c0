// SPDX-License-Identifier: Apache-2.0
// Fingerprints of SSH keys as EC2 and ssh-keygen show them. They tell keys apart for people; nothing is trusted because
// of one.
#pragma once

#include <string>
#include <string_view>

namespace kiln::signing
{

// "1f:51:ae:..." of the bytes.
[[nodiscard]] std::string md5_fingerprint(std::string_view bytes);
[[nodiscard]] std::string sha1_fingerprint(std::string_view bytes);
// Base64 with padding, without "SHA256:" before it.
[[nodiscard]] std::string sha256_fingerprint(std::string_view bytes);

} // namespace kiln::signing
