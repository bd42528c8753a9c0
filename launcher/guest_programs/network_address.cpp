// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_programs/network_address.h"

#include "launcher/guest_programs/guest_system.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kiln::guest
{
namespace
{

class Socket
{
public:
    Socket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { ::close(fd_); }
    template <typename Request> [[nodiscard]] bool ask(unsigned long what, Request& request) const
    {
        return ::ioctl(fd_, what, &request) == 0;
    }

private:
    int fd_;
};

sockaddr address(const std::string& text)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (!text.empty() && ::inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) {
        throw Failure{"the host sent no address"};
    }
    sockaddr general{};
    std::memcpy(&general, &address, sizeof address);
    return general;
}

ifreq about(const std::string& card)
{
    ifreq request{};
    std::memcpy(request.ifr_name, card.data(), std::min(card.size(), sizeof request.ifr_name - 1));
    return request;
}

// One of a DHCP client comes before it.
constexpr short route_metric = 4096 + 1; // the kernel takes one off

rtentry default_route(const std::string& router)
{
    rtentry route{};
    route.rt_metric = router.empty() ? short{0} : route_metric;
    route.rt_dst = address("");
    route.rt_genmask = address("");
    route.rt_gateway = address(router);
    route.rt_flags = router.empty() ? RTF_UP : RTF_UP | RTF_GATEWAY;
    return route;
}

} // namespace

void set_address(const std::string& card, const std::string& value)
{
    std::istringstream words(value);
    std::string own;
    std::string netmask;
    std::string router;
    words >> own >> netmask >> router;
    const Socket socket;
    constexpr int most_routes = 8; // of the template, by its DHCP client
    rtentry old = default_route("");
    for (int i = 0; i < most_routes && socket.ask(SIOCDELRT, old); ++i) {
    }
    ifreq request = about(card);
    request.ifr_addr = address(own);
    if (!socket.ask(SIOCSIFADDR, request)) {
        fail("setting the address of " + card);
    }
    request.ifr_netmask = address(netmask);
    if (!socket.ask(SIOCSIFNETMASK, request)) {
        fail("setting the netmask of " + card);
    }
    rtentry route = default_route(router);
    if (!socket.ask(SIOCADDRT, route)) {
        fail("setting the default route");
    }
}

std::string address_of(const std::string& card)
{
    ifreq request = about(card);
    if (!Socket().ask(SIOCGIFADDR, request)) {
        return "";
    }
    sockaddr_in found{};
    std::memcpy(&found, &request.ifr_addr, sizeof found);
    std::array<char, INET_ADDRSTRLEN> text{};
    return ::inet_ntop(AF_INET, &found.sin_addr, text.data(), text.size()) != nullptr ? text.data() : "";
}

} // namespace kiln::guest
