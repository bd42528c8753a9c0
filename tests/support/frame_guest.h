// SPDX-License-Identifier: Apache-2.0
// A guest for tests that is no machine: it makes Ethernet frames and speaks just enough ARP and TCP to be a client.
// Nothing is lost or reordered on its way, so that it never sends twice.
#pragma once

#include "launcher/network/ethernet_frame.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace kiln::test
{

using Bytes = std::vector<std::uint8_t>;

inline std::uint16_t get16(const Bytes& bytes, std::size_t at)
{
    return static_cast<std::uint16_t>((bytes.at(at) << 8U) | bytes.at(at + 1));
}
inline std::uint32_t get32(const Bytes& bytes, std::size_t at)
{
    return (std::uint32_t{get16(bytes, at)} << 16U) | get16(bytes, at + 2);
}
inline void put16(Bytes& bytes, std::uint32_t value)
{
    bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
    bytes.push_back(static_cast<std::uint8_t>(value));
}
inline void put32(Bytes& bytes, std::uint32_t value)
{
    put16(bytes, value >> 16U);
    put16(bytes, value & 0xffffU);
}

// The Internet checksum (RFC 1071).
inline std::uint16_t checksum(const Bytes& bytes, std::size_t from, std::size_t to, std::uint32_t sum = 0)
{
    for (std::size_t i = from; i < to; i += 2) {
        sum += i + 1 < to ? get16(bytes, i) : static_cast<std::uint32_t>(bytes.at(i)) << 8U;
    }
    while (sum >> 16U != 0) {
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    return static_cast<std::uint16_t>(~sum);
}

inline constexpr std::uint32_t guest_ip = 0x0a00020fU; // 10.0.2.15

inline Bytes ethernet(std::uint16_t kind)
{
    Bytes frame{0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x02, 0x01, 0x23, 0x45, 0x67, 0x89}; // to the gateway
    put16(frame, kind);
    return frame;
}

inline Bytes arp_request(std::uint32_t target)
{
    Bytes frame = ethernet(0x0806);
    frame.insert(frame.end(), {0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0x01, 0x23, 0x45, 0x67, 0x89});
    put32(frame, guest_ip);
    frame.insert(frame.end(), 6, 0);
    put32(frame, target);
    return frame;
}

// A whole frame of IPv4 with that protocol's bytes in it.
inline Bytes ipv4(std::uint32_t target, std::uint8_t protocol, const Bytes& content)
{
    Bytes frame = ethernet(0x0800);
    frame.insert(frame.end(), {0x45, 0});
    put16(frame, static_cast<std::uint32_t>(20 + content.size()));
    frame.insert(frame.end(), {0, 0, 0, 0, 64, protocol, 0, 0});
    put32(frame, guest_ip);
    put32(frame, target);
    const std::uint16_t sum = checksum(frame, 14, 34);
    frame[24] = static_cast<std::uint8_t>(sum >> 8U);
    frame[25] = static_cast<std::uint8_t>(sum);
    frame.insert(frame.end(), content.begin(), content.end());
    return frame;
}

inline Bytes ipv6(const std::array<std::uint8_t, 16>& target)
{
    Bytes frame = ethernet(0x86dd);
    frame.insert(frame.end(), {0x60, 0, 0, 0, 0, 0, 59, 64}); // no next header
    frame.insert(frame.end(), {0xfe, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0f});
    frame.insert(frame.end(), target.begin(), target.end());
    return frame;
}

// A TCP client of the guest's, over functions that pass frames.
class GuestConnection
{
public:
    using Send = std::function<void(const Bytes& frame)>;
    using Receive = std::function<std::optional<Bytes>()>; // nullopt: nothing came in time

    GuestConnection(Send send, Receive receive, std::uint32_t target, std::uint16_t port, std::uint16_t own_port)
        : send_(std::move(send)), receive_(std::move(receive)), target_(target), port_(port), own_port_(own_port)
    {
    }

    // False when nobody answered, or with a reset.
    bool connect()
    {
        send_(segment(syn, {}));
        ++sent_;
        const auto answer = next();
        if (!answer || (flags(*answer) & reset) != 0) {
            return false;
        }
        received_ = get32(*answer, tcp_at + 4) + 1;
        hops = (*answer)[22];
        send_(segment(ack, {}));
        return true;
    }

    // Sends and returns all that came until the other side closed or fell silent.
    std::string ask(const std::string& request)
    {
        send_(segment(ack | push, Bytes(request.begin(), request.end())));
        sent_ += static_cast<std::uint32_t>(request.size());
        std::string answer;
        while (const auto frame = next()) {
            const std::size_t begin = tcp_at + static_cast<std::size_t>((*frame)[tcp_at + 12] >> 4U) * 4;
            const std::size_t end = 14 + std::size_t{get16(*frame, 16)};
            if (get32(*frame, tcp_at + 4) == received_) {
                answer.append(frame->begin() + static_cast<std::ptrdiff_t>(begin),
                              frame->begin() + static_cast<std::ptrdiff_t>(end));
                received_ += static_cast<std::uint32_t>(end - begin) + ((flags(*frame) & fin) != 0 ? 1 : 0);
                send_(segment(ack, {}));
            }
            if ((flags(*frame) & (fin | reset)) != 0) {
                break;
            }
        }
        return answer;
    }

    unsigned hops = 0; // the time to live of the answer to connect()

private:
    static constexpr std::uint8_t fin = 1;
    static constexpr std::uint8_t syn = 2;
    static constexpr std::uint8_t reset = 4;
    static constexpr std::uint8_t push = 8;
    static constexpr std::uint8_t ack = 16;
    static constexpr std::size_t tcp_at = 34;

    static unsigned flags(const Bytes& frame) { return frame[tcp_at + 13]; }

    Bytes segment(unsigned with, const Bytes& content) const
    {
        Bytes tcp;
        put16(tcp, own_port_);
        put16(tcp, port_);
        put32(tcp, sent_);
        put32(tcp, received_);
        tcp.insert(tcp.end(), {0x50, static_cast<std::uint8_t>(with), 0xff, 0xff, 0, 0, 0, 0});
        tcp.insert(tcp.end(), content.begin(), content.end());
        const std::uint32_t pseudo = (guest_ip >> 16U) + (guest_ip & 0xffffU) + (target_ >> 16U) + (target_ & 0xffffU) +
                                     6 + static_cast<std::uint32_t>(tcp.size());
        const std::uint16_t sum = checksum(tcp, 0, tcp.size(), pseudo);
        tcp[16] = static_cast<std::uint8_t>(sum >> 8U);
        tcp[17] = static_cast<std::uint8_t>(sum);
        return ipv4(target_, 6, tcp);
    }

    // The next segment of this connection.
    std::optional<Bytes> next() const
    {
        while (auto frame = receive_()) {
            if (frame->size() >= 54 && get16(*frame, 12) == 0x0800 && (*frame)[23] == 6 &&
                get16(*frame, tcp_at) == port_ && get16(*frame, tcp_at + 2) == own_port_) {
                return frame;
            }
        }
        return std::nullopt;
    }

    Send send_;
    Receive receive_;
    std::uint32_t target_;
    std::uint16_t port_;
    std::uint16_t own_port_;
    std::uint32_t sent_ = 1000;
    std::uint32_t received_ = 0;
};

} // namespace kiln::test
