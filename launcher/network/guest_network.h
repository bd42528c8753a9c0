// SPDX-License-Identifier: Apache-2.0
// Internal: what one network card of a guest is connected to, without the card: frames go in and come out. Two stacks:
// 10.0.2.0/24 with NAT, DHCP, DNS and forwards from the host, and 169.254.169.254, where nothing but the instance's
// own metadata service is. In a VPC the first one is the host's own address there, for forwards alone, and all else is
// the VPC's. One thread at a time; `add_polls` and `dispatch` as in slirp_stack.h.
#pragma once

#include "launcher/network/slirp_stack.h"

#include <optional>

namespace kiln::launcher
{

// The guest's own address, as DHCP hands it out.
inline constexpr const char* guest_address = "10.0.2.15";

// Where the guest is in its VPC.
struct VpcCard {
    std::uint32_t network = 0; // all in the host's byte order
    std::uint32_t netmask = 0;
    std::uint32_t guest = 0;
    std::uint32_t host = 0;
    std::uint32_t name_server = 0;
    std::function<void(Frame frame)> send; // into the VPC
};

struct GuestNetworkSettings {
    std::string host_name;
    std::filesystem::path metadata_socket; // listening, and accepting without delay: libslirp waits for it
    std::uint8_t metadata_hop_limit = 1;   // the time to live of what the metadata service sends
    std::optional<VpcCard> vpc{};
};

class GuestNetwork
{
public:
    GuestNetwork(const GuestNetworkSettings& settings, const SlirpStack::Send& send);

    void input(Frame frame);
    void add_polls(std::vector<pollfd>& polled, std::chrono::milliseconds& timeout);
    void dispatch(const std::vector<pollfd>& polled);

    [[nodiscard]] SlirpStack& nat() noexcept { return nat_; }

private:
    std::optional<VpcCard> vpc_;
    SlirpStack nat_;
    SlirpStack metadata_;
    std::optional<Station> announced_; // to metadata_
};

} // namespace kiln::launcher
