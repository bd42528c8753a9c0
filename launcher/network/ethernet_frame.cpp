// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/ethernet_frame.h"

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::uint16_t kind_ipv4 = 0x0800;
constexpr std::uint16_t kind_arp = 0x0806;
constexpr std::uint16_t kind_ipv6 = 0x86dd;

constexpr std::size_t ethernet_header = 14;
constexpr std::size_t ipv4_header = 20;
constexpr std::size_t ipv6_header = 40;
constexpr std::size_t arp_packet = 28;

std::uint16_t get16(Frame bytes, std::size_t at)
{
    return static_cast<std::uint16_t>((bytes[at] << 8U) | bytes[at + 1]);
}

std::uint32_t get32(Frame bytes, std::size_t at)
{
    return (std::uint32_t{get16(bytes, at)} << 16U) | get16(bytes, at + 2);
}

void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value)
{
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * (3 - i)));
    }
}

bool is_link_local(std::uint32_t address)
{
    return address >> 16U == 0xa9feU;
}

Destination by_address(std::uint32_t address)
{
    if (address == metadata_address) {
        return Destination::metadata;
    }
    return is_link_local(address) ? Destination::nowhere : Destination::nat;
}

// An IPv6 address that the host's kernel, or a router behind it, turns into an IPv4 one; and EC2's own metadata
// service on IPv6, which a host in EC2 would reach.
bool leads_around(Frame address)
{
    const auto starts_with = [&](std::initializer_list<std::uint8_t> prefix) {
        return std::equal(prefix.begin(), prefix.end(), address.begin());
    };
    const bool mapped = starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
    const bool compatible = starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    const bool translated =
        starts_with({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}) && is_link_local(get32(address, 12));
    const bool tunnelled = starts_with({0x20, 0x02}) && is_link_local(get32(address, 2));
    return mapped || compatible || translated || tunnelled || starts_with({0xfd, 0x00, 0x0e, 0xc2});
}

bool is_whole_ipv4(Frame frame)
{
    return frame.size() >= ethernet_header + ipv4_header && get16(frame, 12) == kind_ipv4 && frame[14] >> 4U == 4;
}

} // namespace

Destination destination_of(Frame frame)
{
    if (frame.size() < ethernet_header || frame.size() > longest_frame) {
        return Destination::nowhere;
    }
    switch (get16(frame, 12)) {
    case kind_ipv4:
        return is_whole_ipv4(frame) ? by_address(get32(frame, ethernet_header + 16)) : Destination::nowhere;
    case kind_arp:
        return frame.size() >= ethernet_header + arp_packet ? by_address(get32(frame, ethernet_header + 24))
                                                            : Destination::nowhere;
    case kind_ipv6:
        return frame.size() >= ethernet_header + ipv6_header && !leads_around(frame.subspan(ethernet_header + 24, 16))
                   ? Destination::nat
                   : Destination::nowhere;
    default:
        return Destination::nowhere;
    }
}

std::optional<std::uint32_t> target_of(Frame frame)
{
    if (is_whole_ipv4(frame)) {
        return get32(frame, ethernet_header + 16);
    }
    return frame.size() >= ethernet_header + arp_packet && get16(frame, 12) == kind_arp
               ? std::optional(get32(frame, ethernet_header + 24))
               : std::nullopt;
}

std::optional<Station> sender_of(Frame frame)
{
    if (!is_whole_ipv4(frame)) {
        return std::nullopt;
    }
    Station station;
    std::copy_n(frame.begin() + 6, station.mac.size(), station.mac.begin());
    station.address = get32(frame, ethernet_header + 12);
    return station;
}

std::array<std::uint8_t, 42> announcement(const Station& station)
{
    std::array<std::uint8_t, 42> frame{};
    std::fill_n(frame.begin(), 6, std::uint8_t{0xff}); // to all
    std::copy(station.mac.begin(), station.mac.end(), frame.begin() + 6);
    constexpr std::array<std::uint8_t, 10> request{0x08, 0x06, 0, 1, 0x08,
                                                   0x00, 6,    4, 0, 1}; // Ethernet, IPv4, a request
    std::copy(request.begin(), request.end(), frame.begin() + 12);
    std::copy(station.mac.begin(), station.mac.end(), frame.begin() + 22);
    put32(frame, 28, station.address);
    put32(frame, 38, station.address);
    return frame;
}

void set_hop_limit(std::span<std::uint8_t> frame, std::uint8_t hops)
{
    if (!is_whole_ipv4(frame)) {
        return;
    }
    const std::size_t header = std::size_t{frame[14] & 0x0fU} * 4;
    if (header < ipv4_header || frame.size() < ethernet_header + header) {
        return;
    }
    frame[ethernet_header + 8] = hops;
    frame[ethernet_header + 10] = 0;
    frame[ethernet_header + 11] = 0;
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < header; i += 2) {
        sum += get16(frame, ethernet_header + i);
    }
    while (sum >> 16U != 0) {
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    frame[ethernet_header + 10] = static_cast<std::uint8_t>(~sum >> 8U);
    frame[ethernet_header + 11] = static_cast<std::uint8_t>(~sum);
}

} // namespace kiln::launcher
