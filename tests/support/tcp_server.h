// SPDX-License-Identifier: Apache-2.0
// A TCP server on 127.0.0.1 for tests: one connection after the other, each handled by a function that gets its
// descriptor and a stop token.
#pragma once

#include "core/file_descriptor.h"

#include <cstdint>
#include <functional>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>

namespace kiln::test
{

class TcpServer
{
public:
    using Handler = std::function<void(int connection, const std::stop_token& stop)>;

    explicit TcpServer(Handler handler)
        : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), handler_(std::move(handler))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
            ::listen(listener_.get(), 16) != 0 ||
            ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
            throw std::runtime_error("no TCP server");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }

    static bool send(int connection, const std::string& bytes)
    {
        return ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    }
    // All up to the empty line.
    static std::string receive_request(int connection)
    {
        std::string request;
        for (char c = 0; request.find("\r\n\r\n") == std::string::npos && ::recv(connection, &c, 1, 0) == 1;) {
            request += c;
        }
        return request;
    }

private:
    void serve(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd polled{listener_.get(), POLLIN, 0};
            if (::poll(&polled, 1, 20) > 0) {
                const FileDescriptor connection(::accept(listener_.get(), nullptr, nullptr));
                handler_(connection.get(), stop);
            }
        }
    }

    FileDescriptor listener_;
    Handler handler_;
    std::uint16_t port_ = 0;
    std::jthread thread_;
};

} // namespace kiln::test
