// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/port_forward.h"

#include "core/error.h"
#include "launcher/control.h"

#include <fmt/format.h>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds answer_limit{40}; // more than the supervisor's own
constexpr std::string_view what = "the supervisor's answer";

std::uint16_t port_member(const Json& answer, std::string_view key)
{
    const std::int64_t port = integer_member(answer, key, what);
    if (port < 1 || port > 65535) {
        throw Error(ErrorKind::launch, fmt::format("the supervisor answered with the port {}", port));
    }
    return static_cast<std::uint16_t>(port);
}

} // namespace

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
