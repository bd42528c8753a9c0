// SPDX-License-Identifier: Apache-2.0
// Internal: one TCP/IP stack in user space. The owner of libslirp (4.7, libslirp.h). One thread at a time; after
// `add_polls` and a poll(2) comes `dispatch` with the same vector.
#pragma once

#include "launcher/network/ethernet_frame.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct SlirpSettings {
    std::uint32_t network = 0; // all in the host's byte order
    std::uint32_t netmask = 0xffffff00U;
    std::uint32_t gateway = 0;
    std::uint32_t name_server = 0;
    std::uint32_t guest = 0; // what DHCP hands out
    std::string host_name;   // and this, to go with it
    bool restricted = false; // reaches nothing but what serve_socket adds: no NAT, DHCP, DNS or IPv6
    bool ipv6 = true;        // where it is not restricted
};

// A TCP connection or listener, as libslirp tells it.
struct SlirpConnection {
    std::string state; // "SYN_SENT", "ESTABLISHED", "HOST_FORWARD", ...
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};

class SlirpStack
{
public:
    // `send` gets each frame for the guest, whose bytes it may change, within a call of `input` or `dispatch`.
    using Send = std::function<void(std::span<std::uint8_t> frame)>;

    SlirpStack(const SlirpSettings& settings, Send send);
    ~SlirpStack();
    SlirpStack(const SlirpStack&) = delete;
    SlirpStack& operator=(const SlirpStack&) = delete;

    void input(Frame frame);

    // Appends what the stack waits for and shortens `timeout` to what its timers want.
    void add_polls(std::vector<pollfd>& polled, std::chrono::milliseconds& timeout);
    void dispatch(const std::vector<pollfd>& polled);

    // TCP from 127.0.0.1:host_port to the guest. False when the port is taken, or when there is no such forward.
    [[nodiscard]] bool add_forward(std::uint16_t host_port, std::uint16_t guest_port);
    [[nodiscard]] bool remove_forward(std::uint16_t host_port);

    // TCP of the guest to that address and port becomes a connection to the listening UNIX socket.
    void serve_socket(const std::filesystem::path& socket, std::uint32_t address, std::uint16_t port);

    [[nodiscard]] std::vector<SlirpConnection> connections() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Reads slirp_connection_info's table, which QEMU prints as `info usernet`.
[[nodiscard]] std::vector<SlirpConnection> parse_connections(std::string_view table);

} // namespace kiln::launcher
