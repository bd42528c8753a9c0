// SPDX-License-Identifier: Apache-2.0
#include "launcher/port_check.h"

#include "core/error.h"
#include "core/interrupt.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A guest that is just booting drops the first packets, and libslirp repeats them ever more slowly.
constexpr std::chrono::seconds try_limit{5};

// libslirp's names. It is LISTEN, SYN_SENT or CLOSED before the guest has answered.
bool is_behind_the_handshake(const std::string& state)
{
    constexpr std::array<std::string_view, 7> behind{"ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2",
                                                     "CLOSING",     "LAST_ACK",   "TIME_WAIT"};
    return std::ranges::find(behind, state) != behind.end();
}

FileDescriptor connect_to(std::uint16_t port)
{
    FileDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw system_error(errno, "connecting to the forwarded port");
    }
    return fd;
}

enum class Seen { nothing, bytes, end };
Seen look_at(int connection)
{
    char byte = 0;
    const ssize_t got = ::recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) {
        return Seen::bytes;
    }
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? Seen::nothing : Seen::end;
}

std::string try_once(std::uint16_t host_port, const std::function<std::vector<std::string>()>& states,
                     Deadline deadline, const std::stop_token& stop)
{
    const FileDescriptor connection = connect_to(host_port);
    while (steady_clock::now() < deadline) {
        throw_if_interrupted(stop);
        const Seen seen = look_at(connection.get()); // before the states: a guest may accept and close at once
        if (seen == Seen::bytes || std::ranges::any_of(states(), is_behind_the_handshake)) {
            return {};
        }
        if (seen == Seen::end) {
            return "the guest refuses connections: nothing listens there";
        }
        std::this_thread::sleep_for(milliseconds(50));
    }
    return "the guest does not answer: it drops the connection, or its network is not up";
}

} // namespace

std::string wait_for_port(std::uint16_t host_port, const std::function<std::vector<std::string>()>& states,
                          Deadline deadline, const std::stop_token& stop)
{
    for (;;) {
        std::string seen = try_once(host_port, states, std::min(deadline, in(try_limit)), stop);
        // A try of less than another half a second would only hide what this one has seen.
        if (seen.empty() || steady_clock::now() + milliseconds(500) >= deadline) {
            return seen;
        }
        std::this_thread::sleep_for(milliseconds(250));
    }
}

} // namespace kiln::launcher
