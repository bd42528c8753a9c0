// SPDX-License-Identifier: Apache-2.0
// Internal: the few things that the network helper reads in a guest's Ethernet frames and writes into them. A frame
// is hostile bytes of any length; nothing here reads past its end.
// Sources: RFC 894 (IPv4), 826 (ARP), 791, 2464 (IPv6), 4291 and 6052 (IPv4 inside IPv6 addresses), 3056 (6to4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace kiln::launcher
{

using Frame = std::span<const std::uint8_t>;

inline constexpr std::size_t longest_frame = 1514;             // 14 bytes of header, an MTU of 1500
inline constexpr std::uint32_t metadata_address = 0xa9fea9feU; // 169.254.169.254, in the host's byte order

enum class Destination { nat, metadata, nowhere };

// Where a frame of the guest goes. 169.254.169.254 is the metadata service; the rest of 169.254.0.0/16 is nowhere,
// in whatever form it is written: the host has such neighbours too, the metadata service of its own cloud first of
// all. So are frames that are too short for their kind or too long, and those of other kinds than IPv4, IPv6 and ARP.
[[nodiscard]] Destination destination_of(Frame frame);

// The IPv4 address that a frame is for, or asks for by ARP.
[[nodiscard]] std::optional<std::uint32_t> target_of(Frame frame);

// Who sent an IPv4 frame.
struct Station {
    std::array<std::uint8_t, 6> mac{};
    std::uint32_t address = 0; // in the host's byte order
    bool operator==(const Station&) const = default;
};
[[nodiscard]] std::optional<Station> sender_of(Frame frame); // nullopt when it is no whole IPv4 frame

// The gratuitous ARP frame by which a station tells its address.
[[nodiscard]] std::array<std::uint8_t, 42> announcement(const Station& station);

// Sets the time to live of an IPv4 frame, with the header's checksum; leaves any other frame alone.
void set_hop_limit(std::span<std::uint8_t> frame, std::uint8_t hops);

} // namespace kiln::launcher
