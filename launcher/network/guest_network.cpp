// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/guest_network.h"

namespace kiln::launcher
{
namespace
{

constexpr std::uint32_t nat_base = 0x0a000200U;      // 10.0.2.0
constexpr std::uint32_t metadata_base = 0xa9fea900U; // 169.254.169.0
constexpr std::uint16_t http_port = 80;

SlirpSettings nat_settings(const GuestNetworkSettings& settings)
{
    if (settings.vpc) {
        return {.network = settings.vpc->network,
                .netmask = settings.vpc->netmask,
                .gateway = settings.vpc->host,
                .name_server = settings.vpc->name_server, // never asked here
                .guest = settings.vpc->guest,
                .host_name = {},
                .restricted = true};
    }
    return {.network = nat_base,
            .gateway = nat_base + 2,
            .name_server = nat_base + 3,
            .guest = nat_base + 15,
            .host_name = settings.host_name,
            .restricted = false};
}

} // namespace

GuestNetwork::GuestNetwork(const GuestNetworkSettings& settings, const SlirpStack::Send& send)
    : vpc_(settings.vpc), nat_(nat_settings(settings), send),
      // Nobody is at these addresses but the metadata service; libslirp wants the three to be some.
      metadata_({.network = metadata_base,
                 .gateway = metadata_base + 1,
                 .name_server = metadata_base + 2,
                 .guest = metadata_base + 3,
                 .host_name = {},
                 .restricted = true},
                [send, hops = settings.metadata_hop_limit](std::span<std::uint8_t> frame) {
                    set_hop_limit(frame, hops);
                    send(frame);
                })
{
    metadata_.serve_socket(settings.metadata_socket, metadata_address, http_port);
}

void GuestNetwork::input(Frame frame)
{
    switch (destination_of(frame)) {
    case Destination::nat:
        if (vpc_ && target_of(frame) != vpc_->host) {
            vpc_->send(frame);
        } else {
            nat_.input(frame);
        }
        break;
    case Destination::metadata:
        // The guest's address is of another network than this stack's, which would look for it in vain.
        if (const auto sender = sender_of(frame); sender && sender != announced_) {
            announced_ = sender;
            metadata_.input(announcement(*sender));
        }
        metadata_.input(frame);
        break;
    case Destination::nowhere:
        break;
    }
}

void GuestNetwork::add_polls(std::vector<pollfd>& polled, std::chrono::milliseconds& timeout)
{
    nat_.add_polls(polled, timeout);
    metadata_.add_polls(polled, timeout);
}

void GuestNetwork::dispatch(const std::vector<pollfd>& polled)
{
    nat_.dispatch(polled);
    metadata_.dispatch(polled);
}

} // namespace kiln::launcher
