// SPDX-License-Identifier: Apache-2.0
#include "core/random.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <sys/random.h>

namespace kiln
{
namespace
{

std::string random_bytes(std::size_t count)
{
    std::string bytes(count, '\0');
    std::size_t filled = 0;
    while (filled < count) {
        const ssize_t got = ::getrandom(bytes.data() + filled, count - filled, 0);
        if (got < 0 && errno != EINTR) {
            throw system_error(errno, "reading random bytes");
        }
        filled += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    return bytes;
}

bool is_lower_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

} // namespace

std::string random_hex(std::size_t digits)
{
    std::string text;
    for (const char byte : random_bytes((digits + 1) / 2)) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    text.resize(digits);
    return text;
}

std::string random_resource_id(std::string_view prefix)
{
    return std::string(prefix) + random_hex(17);
}

bool is_resource_id(std::string_view prefix, std::string_view text)
{
    return text.size() == prefix.size() + 17 && text.starts_with(prefix) &&
           std::all_of(text.begin() + static_cast<std::ptrdiff_t>(prefix.size()), text.end(), is_lower_hex);
}

std::string random_uuid()
{
    std::string hex = random_hex(32);
    hex[12] = '4';
    hex[16] = "89ab"[static_cast<unsigned>(hex[16]) % 4];
    return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                       hex.substr(20, 12));
}

std::string random_decimal(std::size_t digits)
{
    std::string text;
    while (text.size() < digits) {
        for (const char byte : random_bytes(digits)) {
            const auto value = static_cast<unsigned char>(byte);
            const char digit = static_cast<char>('0' + value % 10);
            // Bytes past 249 would make the low digits likelier.
            if (value < 250 && text.size() < digits && !(text.empty() && digit == '0')) {
                text += digit;
            }
        }
    }
    return text;
}

} // namespace kiln
