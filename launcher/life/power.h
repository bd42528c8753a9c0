// SPDX-License-Identifier: Apache-2.0
// Internal: the supervisor's hand on the power button: it asks a guest to shut down or to reboot, and goes on to harder
// means when it does not. Safe for several threads.
#pragma once

#include "core/qmp_client.h"
#include "launcher/guest_agent.h"
#include "launcher/qemu_process.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

namespace kiln::launcher
{

class Power
{
public:
    Power(QmpClient& qmp, GuestAgent& agent, const WatchedProcess& qemu) : qmp_(qmp), agent_(agent), qemu_(qemu) {}

    // Presses the power button (ACPI) now and every 10 s until `patience` has passed, then has QEMU quit, which writes
    // its disks out, then kills it 10 s later. Returns when QEMU has ended.
    void shut_down(std::chrono::milliseconds patience);
    // Ends the patience of a shut_down that is under way.
    void hurry() noexcept { hurry_ = true; }
    // Whether patience ended first in the last shut_down.
    [[nodiscard]] bool forced() const noexcept { return forced_; }

    // Asks the guest's agent, else by Ctrl-Alt-Del, and resets the machine when it has not by itself within `patience`.
    // Returns whether it did by itself. Throws Error{launch, interrupted} when `cancelled`.
    bool reboot(std::chrono::milliseconds patience, const std::function<bool()>& cancelled);

    // QEMU's word for why the machine went off ("guest-shutdown", "host-qmp-quit", ...; QAPI's ShutdownCause); empty
    // when it did not say, as when it was killed. Once QEMU has ended.
    [[nodiscard]] std::string end_cause();

    // Whether QEMU has paused the guest since a write of its found no space on the host.
    [[nodiscard]] bool out_of_space();
    // What a QEMU that was adopted says about that.
    void ask_about_space();

private:
    void look_at_events();

    QmpClient& qmp_;
    GuestAgent& agent_;
    const WatchedProcess& qemu_;
    std::atomic<bool> hurry_ = false;
    std::atomic<bool> forced_ = false;
    std::mutex mutex_;
    unsigned resets_ = 0;
    std::string cause_;
    bool out_of_space_ = false;
};

} // namespace kiln::launcher
