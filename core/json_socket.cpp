// SPDX-License-Identifier: Apache-2.0
#include "core/json_socket.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "core/unix_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln
{
namespace
{

constexpr std::size_t longest_line = std::size_t{64} << 20U;

FileDescriptor open_socket()
{
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) {
        throw system_error(errno, "opening a socket");
    }
    return fd;
}

// Waits in short turns, so that a stop is noticed. False at the deadline.
bool wait_for(int fd, short events, Deadline deadline, const std::stop_token& stop)
{
    for (;;) {
        throw_if_interrupted(stop);
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd polled{fd, events, 0};
        const int ready = ::poll(&polled, 1, static_cast<int>(std::clamp<long>(left.count(), 0, 100)));
        if (ready > 0) {
            return true;
        }
        if (left.count() <= 0) {
            return false;
        }
    }
}

} // namespace

JsonSocket JsonSocket::connect(const std::filesystem::path& path, std::string peer)
{
    const sockaddr_un address = unix_address(path);
    FileDescriptor fd = open_socket();
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw Error(ErrorKind::launch, fmt::format("{} can't be reached: {}", peer, std::strerror(errno)));
    }
    return {std::move(fd), std::move(peer)};
}

void JsonSocket::send(const Json& value, Deadline deadline)
{
    send_bytes(value.dump() + "\n", deadline);
}

void JsonSocket::send_bytes(std::string_view bytes, Deadline deadline)
{
    while (!bytes.empty()) {
        if (!wait_for(fd_.get(), POLLOUT, deadline, {})) {
            throw Error(ErrorKind::launch, fmt::format("{} takes no more input", peer_));
        }
        const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            throw Error(ErrorKind::launch, fmt::format("{} has gone: {}", peer_, std::strerror(errno)));
        }
        bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
    }
}

std::string JsonSocket::receive_line(Deadline deadline, const std::stop_token& stop)
{
    for (std::size_t searched = 0;;) {
        const std::size_t newline = buffer_.find('\n', searched);
        if (newline != std::string::npos) {
            std::string line = buffer_.substr(0, newline);
            buffer_.erase(0, newline + 1);
            return line;
        }
        searched = buffer_.size();
        if (searched > longest_line) {
            throw Error(ErrorKind::launch, fmt::format("{} sent a line without an end", peer_));
        }
        if (!wait_for(fd_.get(), POLLIN, deadline, stop)) {
            throw Error(ErrorKind::launch, fmt::format("{} did not answer in time", peer_));
        }
        char chunk[65536];
        const ssize_t got = ::recv(fd_.get(), chunk, sizeof chunk, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) {
            throw Error(ErrorKind::launch, fmt::format("{} closed the connection", peer_));
        }
        buffer_.append(chunk, got > 0 ? static_cast<std::size_t>(got) : 0);
    }
}

Json JsonSocket::receive(Deadline deadline, const std::stop_token& stop)
{
    const std::string line = receive_line(deadline, stop);
    try {
        return parse_json(line, "the answer of " + peer_);
    } catch (const Error& error) {
        throw Error(ErrorKind::launch, printable(error.what(), false));
    }
}

bool JsonSocket::closed() const
{
    pollfd polled{fd_.get(), POLLRDHUP, 0};
    return ::poll(&polled, 1, 0) > 0 && (polled.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

FileDescriptor listen_on(const std::filesystem::path& path)
{
    const sockaddr_un address = unix_address(path);
    FileDescriptor fd = open_socket();
    ::unlink(path.c_str());
    const mode_t before = ::umask(0177);
    const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::umask(before);
    if (bound != 0 || ::listen(fd.get(), 64) != 0) {
        throw system_error(errno, fmt::format("listening on {}", path.native()));
    }
    return fd;
}

} // namespace kiln
