// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/ethernet_frame.h"
#include "launcher/network/slirp_stack.h"
#include "tests/support/frame_guest.h"

#include <gtest/gtest.h>

namespace kiln::launcher
{
namespace
{

using test::Bytes;

std::uint32_t address(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return (a << 24U) | (b << 16U) | (c << 8U) | d;
}

TEST(EthernetFrame, GoesWhereItsAddressIs)
{
    EXPECT_EQ(destination_of(test::ipv4(address(8, 8, 8, 8), 17, {})), Destination::nat);
    EXPECT_EQ(destination_of(test::ipv4(address(10, 0, 2, 2), 6, {})), Destination::nat);
    EXPECT_EQ(destination_of(test::ipv4(0xffffffffU, 17, {})), Destination::nat); // DHCP
    EXPECT_EQ(destination_of(test::ipv4(metadata_address, 6, {})), Destination::metadata);
    EXPECT_EQ(destination_of(test::arp_request(address(10, 0, 2, 2))), Destination::nat);
    EXPECT_EQ(destination_of(test::arp_request(metadata_address)), Destination::metadata);
    EXPECT_EQ(destination_of(test::ipv6({0x20, 0x01, 0x0d, 0xb8})), Destination::nat);
}

TEST(EthernetFrame, Attack41_OtherLinkLocalAddressesAreNowhere)
{
    for (const auto target : {address(169, 254, 0, 0), address(169, 254, 169, 253), address(169, 254, 169, 1),
                              address(169, 254, 170, 2), address(169, 254, 255, 255)}) {
        EXPECT_EQ(destination_of(test::ipv4(target, 6, {})), Destination::nowhere) << std::hex << target;
        EXPECT_EQ(destination_of(test::arp_request(target)), Destination::nowhere) << std::hex << target;
    }
}

TEST(EthernetFrame, Attack41_NoWayToThemThroughIpv6)
{
    const std::array<std::uint8_t, 16> ways[] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, 169, 254}, // ::ffff:169.254.169.254
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 8, 8, 8, 8},
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 169, 254, 169, 254},          // ::169.254.169.254
        {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 169, 254, 169, 254}, // NAT64
        {0x20, 0x02, 169, 254, 169, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},    // 6to4
        {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54}};  // fd00:ec2::254
    for (const auto& way : ways) {
        EXPECT_EQ(destination_of(test::ipv6(way)), Destination::nowhere) << static_cast<int>(way[0]);
    }
    EXPECT_EQ(destination_of(test::ipv6({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8})), Destination::nat);
}

TEST(EthernetFrame, Attack41_EveryLengthIsRead)
{
    const Bytes whole[] = {test::ipv4(metadata_address, 6, {}), test::arp_request(metadata_address),
                           test::ipv6({0x20, 0x01})};
    for (const Bytes& frame : whole) {
        for (std::size_t size = 0; size < frame.size(); ++size) {
            // A copy of just that size, so that a sanitizer sees a step behind its end.
            EXPECT_EQ(destination_of(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size))),
                      Destination::nowhere)
                << size;
        }
        EXPECT_NE(destination_of(frame), Destination::nowhere);
    }
    Bytes longest = test::ipv4(metadata_address, 6, {});
    longest.resize(longest_frame);
    EXPECT_EQ(destination_of(longest), Destination::metadata);
    longest.push_back(0);
    EXPECT_EQ(destination_of(longest), Destination::nowhere);
}

TEST(EthernetFrame, OtherKindsAreNowhere)
{
    for (const unsigned kind : {0x8100U, 0x88f8U, 0x0805U, 0x0000U, 0x86deU}) { // VLAN, NC-SI, ...
        Bytes frame = test::ethernet(static_cast<std::uint16_t>(kind));
        frame.resize(100);
        EXPECT_EQ(destination_of(frame), Destination::nowhere) << kind;
    }
    Bytes version = test::ipv4(metadata_address, 6, {});
    version[14] = 0x65; // says IPv4 and is of version 6
    EXPECT_EQ(destination_of(version), Destination::nowhere);
}

TEST(EthernetFrame, TheSenderIsAnnounced)
{
    const auto sender = sender_of(test::ipv4(metadata_address, 6, {}));
    ASSERT_TRUE(sender);
    EXPECT_EQ(sender->address, address(10, 0, 2, 15));
    const auto frame = announcement(*sender);
    const Bytes expected{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01, 0x23, 0x45, 0x67, 0x89, 0x08, 0x06,
                         0,    1,    8,    0,    6,    4,    0,    1,    0x02, 0x01, 0x23, 0x45, 0x67, 0x89,
                         10,   0,    2,    15,   0,    0,    0,    0,    0,    0,    10,   0,    2,    15};
    EXPECT_EQ(Bytes(frame.begin(), frame.end()), expected);
    EXPECT_FALSE(sender_of(test::arp_request(metadata_address)));
}

TEST(EthernetFrame, TheHopLimitComesWithItsChecksum)
{
    Bytes frame = test::ipv4(address(10, 0, 2, 15), 6, {1, 2, 3});
    set_hop_limit(frame, 1);
    EXPECT_EQ(frame[22], 1);
    EXPECT_EQ(test::checksum(frame, 14, 34), 0);
    Bytes options = frame;
    options[14] = 0x4f; // claims a header of 60 bytes, which is not there
    const Bytes before = options;
    set_hop_limit(options, 9);
    EXPECT_EQ(options, before);
    Bytes arp = test::arp_request(1);
    const Bytes as_it_was = arp;
    set_hop_limit(arp, 9);
    EXPECT_EQ(arp, as_it_was);
}

TEST(SlirpStack, ItsTableOfConnectionsIsRead)
{
    // As libslirp 4.7 prints it.
    const auto connections =
        parse_connections("  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n"
                          "  TCP[ESTABLISHED]   19       127.0.0.1 40000       10.0.2.15    22     0     0\n"
                          "  TCP[SYN_SENT]      20       127.0.0.1 40001       10.0.2.15    81     0     0\n"
                          "  TCP[HOST_FORWARD]  14       127.0.0.1 40001       10.0.2.15    81     0     0\n"
                          "  UDP[236 sec]       22       10.0.2.15 40001       10.0.2.3     81     0     0\n"
                          "  TCP[TIME_WAIT      23       127.0.0.1 40001       10.0.2.15    81     0     0\n");
    ASSERT_EQ(connections.size(), 3U);
    EXPECT_EQ(connections[0].state, "ESTABLISHED");
    EXPECT_EQ(connections[0].source_port, 40000);
    EXPECT_EQ(connections[0].destination_port, 22);
    EXPECT_EQ(connections[2].state, "HOST_FORWARD");
}

} // namespace
} // namespace kiln::launcher
