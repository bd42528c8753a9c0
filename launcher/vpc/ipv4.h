// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses and blocks of them (RFC 4632), as text and as numbers in the host's byte order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::launcher
{

struct Cidr {
    std::uint32_t address = 0; // no bit behind the prefix is set
    unsigned prefix = 0;       // 0 to 32

    [[nodiscard]] std::uint32_t netmask() const noexcept
    {
        return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix);
    }
    [[nodiscard]] std::uint32_t last() const noexcept { return address | ~netmask(); }
    [[nodiscard]] bool contains(std::uint32_t other) const noexcept { return (other & netmask()) == address; }
    bool operator==(const Cidr&) const = default;
};

// "172.31.0.0/20"; bits behind the prefix are cleared, as EC2 does. nullopt for all that is no such block.
[[nodiscard]] std::optional<Cidr> parse_cidr(std::string_view text);
[[nodiscard]] std::optional<std::uint32_t> parse_ipv4(std::string_view text);
[[nodiscard]] std::string ipv4_text(std::uint32_t address);
[[nodiscard]] std::string to_string(const Cidr& block);

} // namespace kiln::launcher
