// SPDX-License-Identifier: Apache-2.0
// Internal: the guest's file systems, frozen for the moment of a snapshot. Hooks in the guest run before and after.
//
// A guest can't stay frozen: a watchdog that starts in it before the freeze thaws it after `freeze_watchdog`, whatever
// becomes of its agent, the supervisor or the host's side of the line. Where no watchdog can be started, nothing is
// frozen.
#pragma once

#include "launcher/guest_agent.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace kiln::launcher
{

inline constexpr std::chrono::seconds freeze_watchdog{30};
// So long a preparation leaves the watchdog its time for freeze and switch, 10 s each, and the freeze little to write.
inline constexpr std::chrono::seconds freeze_brief{1};

// How the disks' content at that moment is to be taken.
struct Consistency {
    std::string kind = "crash";              // "filesystem" or "crash"
    std::string reason;                      // why "crash"; empty otherwise
    std::chrono::microseconds frozen_for{0}; // from asking for the freeze to the answer that it is thawed
};

class GuestFreeze
{
public:
    // Runs the hooks, starts the watchdog and has dirty data written; the latter two once more if all that was not
    // `brief`. Throws Error{launch} when a hook fails, Error{interrupted}.
    GuestFreeze(GuestAgent& agent, const std::function<bool()>& cancelled,
                std::chrono::milliseconds brief = freeze_brief);
    GuestFreeze(const GuestFreeze&) = delete;
    GuestFreeze& operator=(const GuestFreeze&) = delete;
    // Thaws, whatever happened, and runs the hooks for after that.
    ~GuestFreeze();

    // A guest that can't be frozen is not, and consistency() tells why.
    void freeze();
    // What was taken before is "crash" when the guest turns out to have thawed by itself. Throws Error{launch}.
    void thaw();
    [[nodiscard]] const Consistency& consistency() const noexcept { return consistency_; }

private:
    void prepare(std::chrono::milliseconds brief);
    bool start_watchdog_and_sync(); // false: nothing is to be frozen
    void run_thaw_hooks() noexcept;

    GuestAgent& agent_;
    const std::function<bool()>& cancelled_;
    Consistency consistency_;
    std::chrono::steady_clock::time_point started_;
    std::int64_t watchdog_ = 0; // its pid in the guest
    std::int64_t frozen_ = 0;   // file systems
    bool hooks_ran_ = false;
    bool thawed_ = true;
};

} // namespace kiln::launcher
