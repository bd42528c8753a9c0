// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/network_process.h"

#include "core/error.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds start_limit{5};
constexpr seconds answer_limit{10};
constexpr seconds attach_limit{30}; // more than the helper takes to bring a VPC up
constexpr milliseconds shortest_pause{500};
constexpr milliseconds longest_pause{60'000};
constexpr seconds long_life{60}; // after which a death counts as the first one
constexpr std::string_view what = "the network helper's answer";

// The helper's socket; one that was just started has none for a moment.
JsonSocket connect_to_helper(const InstancePaths& paths)
{
    const Deadline deadline = in(start_limit);
    for (;;) {
        try {
            return JsonSocket::connect(paths.network_control_socket, "the network helper");
        } catch (const Error&) {
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
            std::this_thread::sleep_for(milliseconds(5));
        }
    }
}

} // namespace

bool NetworkProcess::start()
{
    if (!used_) {
        return false;
    }
    started_ = Clock::now();
    if (const auto pid = find_network_helper(paths_, id_)) {
        try {
            process_.emplace(*pid);
            return false;
        } catch (const Error&) { // it ended meanwhile
        }
    }
    process_.emplace(start_detached({supervisor_program(), "serve-network", id_}, paths_.network_log,
                                    {.confinement = confinement_}));
    return true;
}

int NetworkProcess::descriptor() const noexcept
{
    return process_ ? process_->descriptor() : -1;
}

std::optional<milliseconds> NetworkProcess::next_look() const
{
    if (!used_ || process_) {
        return std::nullopt;
    }
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(retry_ - Clock::now()));
}

bool NetworkProcess::look_after()
{
    if (!used_) {
        return false;
    }
    if (process_ && process_->ended()) {
        process_.reset();
    }
    if (process_ || Clock::now() < retry_) {
        return false;
    }
    // Before the start, which may fail.
    pause_ =
        Clock::now() - started_ > long_life ? shortest_pause : std::clamp(pause_ * 2, shortest_pause, longest_pause);
    retry_ = Clock::now() + pause_;
    return start();
}

void NetworkProcess::finish(milliseconds limit)
{
    if (process_ && !process_->wait(limit)) {
        process_->signal(SIGKILL);
        static_cast<void>(process_->wait(limit));
    }
    process_.reset();
}

Json NetworkProcess::ask(const Json& request) const
{
    if (!used_ && !older_) {
        throw Error(ErrorKind::launch, fmt::format("{} has no network", id_));
    }
    if (!used_) {
        throw Error(ErrorKind::launch,
                    fmt::format("{} was launched by an older Kiln, whose network takes no requests", id_),
                    "launch another with `kiln run`");
    }
    JsonSocket socket = connect_to_helper(paths_);
    socket.send(request, in(answer_limit));
    return result_of(socket.receive(in(answer_limit)), what);
}

void NetworkProcess::await_network() const
{
    if (used_) {
        JsonSocket socket = connect_to_helper(paths_);
        socket.send({{"request", "await-network"}}, in(answer_limit));
        static_cast<void>(result_of(socket.receive(in(attach_limit)), what));
    }
}

std::uint16_t NetworkProcess::add_forward(std::uint16_t guest_port, std::uint16_t host_port) const
{
    const Json answer = ask({{"request", "forward"}, {"guest_port", guest_port}, {"host_port", host_port}});
    return static_cast<std::uint16_t>(integer_member(answer, "port", what));
}

void NetworkProcess::remove_forward(std::uint16_t host_port) const
{
    static_cast<void>(ask({{"request", "remove-forward"}, {"host_port", host_port}}));
}

std::vector<std::string> NetworkProcess::connection_states(std::uint16_t host_port, std::uint16_t guest_port) const
{
    const Json answer = ask({{"request", "connection-states"}, {"host_port", host_port}, {"guest_port", guest_port}});
    return member(answer, "states", what).get<std::vector<std::string>>();
}

} // namespace kiln::launcher
