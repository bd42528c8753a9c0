// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648) as DSSE wants it: written with the standard alphabet and padding, read in the
// standard or the URL-safe one, padded or not.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kiln::signing
{

[[nodiscard]] std::string base64(std::string_view bytes);

// nullopt for anything else: white space, a mixed alphabet, padding in the wrong place, stray bits.
[[nodiscard]] std::optional<std::string> parse_base64(std::string_view text);

} // namespace kiln::signing
