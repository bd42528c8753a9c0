// SPDX-License-Identifier: Apache-2.0
#include "core/byte_size.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace kiln
{
namespace
{

constexpr std::array<std::pair<std::string_view, unsigned>, 5> units{{
    {"TiB", 40},
    {"GiB", 30},
    {"MiB", 20},
    {"KiB", 10},
    {"B", 0},
}};

} // namespace

std::optional<ByteSize> parse_byte_size(std::string_view text)
{
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    for (const auto& [unit, shift] : units) {
        if (text == unit && count <= (std::uint64_t{INT64_MAX} >> shift)) {
            return ByteSize(count << shift);
        }
    }
    return std::nullopt;
}

std::string to_string(ByteSize size)
{
    for (const auto& [unit, shift] : units) {
        const std::uint64_t one = std::uint64_t{1} << shift;
        if (size.bytes() >= one && shift > 0) {
            return size.bytes() % one == 0
                       ? fmt::format("{} {}", size.bytes() >> shift, unit)
                       : fmt::format("{:.1f} {}", static_cast<double>(size.bytes()) / static_cast<double>(one), unit);
        }
    }
    return fmt::format("{} B", size.bytes());
}

} // namespace kiln
