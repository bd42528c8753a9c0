// SPDX-License-Identifier: Apache-2.0
// Random identifiers from the kernel's generator.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kiln
{

// `digits` lower-case hexadecimal digits.
[[nodiscard]] std::string random_hex(std::size_t digits);

// EC2's form of an id: the prefix ("ami-", "i-") and 17 hexadecimal digits.
[[nodiscard]] std::string random_resource_id(std::string_view prefix);

// Whether `text` has that form.
[[nodiscard]] bool is_resource_id(std::string_view prefix, std::string_view text);

// An RFC 4122 version 4 UUID, lower case.
[[nodiscard]] std::string random_uuid();

// `digits` decimal digits, the first one not zero.
[[nodiscard]] std::string random_decimal(std::size_t digits);

} // namespace kiln
