// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/ipv4.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <charconv>

namespace kiln::launcher
{

std::optional<std::uint32_t> parse_ipv4(std::string_view text)
{
    in_addr address{};
    const std::string copy(text); // a NUL inside ends it early, and is no part of an address
    if (copy.find('\0') != std::string::npos || ::inet_pton(AF_INET, copy.c_str(), &address) != 1) {
        return std::nullopt;
    }
    return ntohl(address.s_addr);
}

std::optional<Cidr> parse_cidr(std::string_view text)
{
    const auto slash = text.find('/');
    const auto address = parse_ipv4(text.substr(0, slash));
    if (!address || slash == text.npos) {
        return std::nullopt;
    }
    const std::string_view digits = text.substr(slash + 1);
    unsigned prefix = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc() || end != digits.data() + digits.size() || prefix > 32) {
        return std::nullopt;
    }
    Cidr block{0, prefix};
    block.address = *address & block.netmask();
    return block;
}

std::string ipv4_text(std::uint32_t address)
{
    return fmt::format("{}.{}.{}.{}", address >> 24U, address >> 16U & 0xffU, address >> 8U & 0xffU, address & 0xffU);
}

std::string to_string(const Cidr& block)
{
    return fmt::format("{}/{}", ipv4_text(block.address), block.prefix);
}

} // namespace kiln::launcher
