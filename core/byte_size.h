// SPDX-License-Identifier: Apache-2.0
// A count of bytes. Text is in binary units with the unit written out: "2 GiB", "512 MiB", "4096 B".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln
{

class ByteSize
{
public:
    constexpr ByteSize() = default;
    constexpr explicit ByteSize(std::uint64_t bytes) : bytes_(bytes) {}
    [[nodiscard]] constexpr std::uint64_t bytes() const { return bytes_; }
    friend constexpr auto operator<=>(ByteSize a, ByteSize b) { return a.bytes_ <=> b.bytes_; }
    friend constexpr bool operator==(ByteSize a, ByteSize b) { return a.bytes_ == b.bytes_; }
    friend constexpr ByteSize operator+(ByteSize a, ByteSize b) { return ByteSize(a.bytes_ + b.bytes_); }

private:
    std::uint64_t bytes_ = 0;
};

constexpr ByteSize mebibytes(std::uint64_t count)
{
    return ByteSize(count << 20U);
}
constexpr ByteSize gibibytes(std::uint64_t count)
{
    return ByteSize(count << 30U);
}

// "2GiB", "2 GiB", "512MiB", "64KiB", "100B"; nullopt for anything else, and past 2^63.
[[nodiscard]] std::optional<ByteSize> parse_byte_size(std::string_view text);

// At most one decimal: "1.9 GiB".
[[nodiscard]] std::string to_string(ByteSize size);

} // namespace kiln
