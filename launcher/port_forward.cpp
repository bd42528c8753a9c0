// SPDX-License-Identifier: Apache-2.0
#include "launcher/port_forward.h"

#include "core/error.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/qemu_process.h"

#include <fmt/format.h>

#include <iterator>
#include <sstream>

namespace kiln::launcher
{
namespace
{

constexpr int port_attempts = 5;
constexpr std::chrono::seconds answer_limit{40}; // more than QmpClient's own
constexpr std::string_view what = "the supervisor's answer";

std::string monitor(QmpClient& qmp, const std::string& command)
{
    const Json answer = qmp.execute("human-monitor-command", {{"command-line", command}});
    if (!answer.is_string()) {
        throw Error(ErrorKind::launch, fmt::format("QEMU answered \"{}\" with something that is no text", command));
    }
    return answer.get<std::string>();
}

std::uint16_t port_member(const Json& answer, std::string_view key)
{
    const std::int64_t port = integer_member(answer, key, what);
    if (port < 1 || port > 65535) {
        throw Error(ErrorKind::launch, fmt::format("the supervisor answered with the port {}", port));
    }
    return static_cast<std::uint16_t>(port);
}

} // namespace

std::uint16_t add_forward(QmpClient& qmp, std::uint16_t guest_port)
{
    std::string words;
    for (int attempt = 0; attempt < port_attempts; ++attempt) {
        const std::uint16_t host_port = find_free_port();
        words = monitor(qmp, fmt::format("hostfwd_add net tcp:127.0.0.1:{}-:{}", host_port, guest_port));
        if (words.empty()) {
            return host_port;
        }
    }
    throw Error(ErrorKind::launch,
                fmt::format("QEMU did not forward port {} of the guest: {}", guest_port, tail_in_one_line(words, 1)));
}

void remove_forward(QmpClient& qmp, std::uint16_t host_port)
{
    const std::string words = monitor(qmp, fmt::format("hostfwd_remove net tcp:127.0.0.1:{}", host_port));
    if (words.find("removed") == std::string::npos) {
        throw Error(ErrorKind::launch,
                    fmt::format("QEMU still forwards port {}: {}", host_port, tail_in_one_line(words, 1)));
    }
}

std::vector<std::string> connection_states(QmpClient& qmp, std::uint16_t host_port, std::uint16_t guest_port)
{
    // "  TCP[ESTABLISHED]  17  127.0.0.1 40123  10.0.2.15  22  0  0": protocol and state, descriptor, source address
    // and port, destination address and port, queues (libslirp, slirp_connection_info).
    std::istringstream text(monitor(qmp, "info usernet"));
    std::vector<std::string> states;
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        const std::vector<std::string> row{std::istream_iterator<std::string>(words), {}};
        if (row.size() == 8 && row[0].starts_with("TCP[") && row[0].ends_with("]") &&
            row[3] == std::to_string(host_port) && row[5] == std::to_string(guest_port)) {
            states.push_back(row[0].substr(4, row[0].size() - 5));
        }
    }
    return states;
}

PortForward::PortForward(const Paths& paths, const Instance& instance, std::uint16_t guest_port,
                         const std::stop_token& stop)
    : paths_(paths), id_(instance.id), guest_port_(guest_port)
{
    HeldAnswer answer = ask_and_hold(paths, id_, {{"request", "forward"}, {"port", guest_port}}, answer_limit, stop);
    host_port_ = port_member(answer.result, "port");
    held_.emplace(std::move(answer.socket));
}

std::vector<std::string> PortForward::states(const std::stop_token& stop) const
{
    const Json answer = ask_supervisor(
        paths_, id_, {{"request", "connection-states"}, {"host_port", host_port_}, {"guest_port", guest_port_}},
        answer_limit, stop);
    std::vector<std::string> states;
    for (const Json& state : member(answer, "states", what)) {
        states.push_back(state.is_string() ? state.get<std::string>() : std::string());
    }
    return states;
}

} // namespace kiln::launcher
