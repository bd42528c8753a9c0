// SPDX-License-Identifier: Apache-2.0
// Internal: the supervisor's side of an instance's network helper: starts it so that it outlives the supervisor, adopts
// one that runs, starts another when it died, and asks it. `ask` and what is built on it may be called by several
// threads; the rest by one.
#pragma once

#include "launcher/instance.h"
#include "launcher/qemu_process.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kiln::launcher
{

class NetworkProcess
{
public:
    NetworkProcess(const Instance& instance, InstancePaths paths, Confinement confinement = {})
        : id_(instance.id), paths_(std::move(paths)), confinement_(std::move(confinement)),
          used_(instance.network == "user" || instance.network == "vpc"), older_(instance.network == "qemu")
    {
    }

    // Adopts the helper that runs, or starts one: then it returns true, and its forwards are to be added. A new one is
    // there for requests a moment later; QEMU need not wait for it.
    bool start();

    // A pidfd that is readable when the helper has ended, or -1.
    [[nodiscard]] int descriptor() const noexcept;
    // When to look after it next although `descriptor` says nothing, or nullopt.
    [[nodiscard]] std::optional<std::chrono::milliseconds> next_look() const;
    // Starts the helper when it has died, as start() does; one that dies again and again only after longer and longer
    // pauses, up to a minute.
    [[nodiscard]] bool look_after();
    // Waits until it has ended, which it does when QEMU has; kills it past `limit`.
    void finish(std::chrono::milliseconds limit);

    // Requests of network_helper.h. Each throws Error{launch} with the helper's words.
    void await_network() const; // returns at once without a helper
    [[nodiscard]] std::uint16_t add_forward(std::uint16_t guest_port, std::uint16_t host_port = 0) const;
    void remove_forward(std::uint16_t host_port) const;
    [[nodiscard]] std::vector<std::string> connection_states(std::uint16_t host_port, std::uint16_t guest_port) const;

private:
    using Clock = std::chrono::steady_clock;
    [[nodiscard]] Json ask(const Json& request) const;

    std::string id_;
    InstancePaths paths_;
    Confinement confinement_; // the helper's
    bool used_;               // there is a helper
    bool older_;              // of an instance of an older Kiln there is none
    std::optional<WatchedProcess> process_;
    Clock::time_point started_{};
    Clock::time_point retry_{};
    std::chrono::milliseconds pause_{0};
};

} // namespace kiln::launcher
