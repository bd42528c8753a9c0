// SPDX-License-Identifier: Apache-2.0
#include "core/descriptor_message.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace kiln
{
namespace
{

using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int))>;
constexpr std::size_t longest_answer = 65536;

} // namespace

void send_with_descriptor(int socket, const Json& line, int descriptor)
{
    std::string bytes = line.dump() + "\n";
    iovec content{bytes.data(), bytes.size()};
    alignas(cmsghdr) ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != static_cast<ssize_t>(bytes.size())) {
        throw Error(ErrorKind::launch, fmt::format("a descriptor could not be sent: {}", std::strerror(errno)));
    }
}

DescriptorMessage receive_with_descriptor(int socket, Deadline deadline, std::string_view peer)
{
    DescriptorMessage result;
    std::string text;
    while (!text.ends_with('\n')) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        pollfd polled{socket, POLLIN, 0};
        if (left <= 0 || (::poll(&polled, 1, static_cast<int>(left)) == 0)) {
            throw Error(ErrorKind::launch, fmt::format("{} did not answer in time", peer));
        }
        std::array<char, 4096> bytes{};
        iovec content{bytes.data(), bytes.size()};
        alignas(cmsghdr) ControlBuffer control{};
        msghdr message{};
        message.msg_iov = &content;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got <= 0 || text.size() > longest_answer) {
            throw Error(ErrorKind::launch, fmt::format("{} closed the connection", peer));
        }
        const cmsghdr* header = CMSG_FIRSTHDR(&message);
        if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof(int))) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(header), sizeof number);
            result.descriptor = FileDescriptor(number);
        }
        text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    result.line = parse_json(text, fmt::format("the answer of {}", peer));
    return result;
}

} // namespace kiln
