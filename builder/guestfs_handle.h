// SPDX-License-Identifier: Apache-2.0
// What owns libguestfs's handles and results, for the files that talk to libguestfs: appliance.cpp and warm_*.cpp.
#pragma once

#include "core/accelerator.h"

#include <guestfs.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

namespace kiln::builder
{

struct CloseGuestfs {
    void operator()(guestfs_h* handle) const { guestfs_close(handle); }
};
using GuestfsHandle = std::unique_ptr<guestfs_h, CloseGuestfs>;

struct FreeList {
    void operator()(char** list) const
    {
        for (char** entry = list; entry != nullptr && *entry != nullptr; ++entry) {
            std::free(*entry);
        }
        std::free(list);
    }
};
using StringList = std::unique_ptr<char*, FreeList>;

struct FreeString {
    void operator()(char* string) const { std::free(string); }
};
using String = std::unique_ptr<char, FreeString>;

inline constexpr int appliance_cpus = 2;

// A handle of the direct backend that is not launched yet; it prints nothing. Throws Error{internal, step_failed}.
[[nodiscard]] GuestfsHandle make_handle(Accelerator accelerator, bool network, const std::filesystem::path& temporary);

// libguestfs's last words, fit for a terminal.
[[nodiscard]] std::string last_error(guestfs_h* handle);

// Kills this process's QEMU and supermin children. libguestfs locks its handle during a launch and a call, so its
// pid can't be asked for from another thread; its children are found by name instead.
void kill_appliance_processes();

// Kills them after `limit`: libguestfs's calls wait for ever for an appliance that hangs.
class ApplianceWatchdog
{
public:
    explicit ApplianceWatchdog(std::chrono::seconds limit);

private:
    std::jthread thread_;
};

} // namespace kiln::builder
