// SPDX-License-Identifier: Apache-2.0
// Internal: sees to it, while a command waits for an instance, that there is somebody to wait for.
#pragma once

#include "core/paths.h"
#include "launcher/instance_store.h"

#include <chrono>
#include <optional>
#include <string>

namespace kiln::launcher
{

class Attendance
{
public:
    Attendance(const Paths& paths, const std::string& id) : paths_(paths), files_(paths, id), id_(id) {}

    // A QEMU whose supervisor was killed gets another one, which goes on with what that one was at. Returns false when
    // the supervisor that was there has gone, and there is no QEMU: the instance won't change by itself.
    [[nodiscard]] bool look();

private:
    const Paths& paths_;
    InstancePaths files_;
    std::string id_;
    std::optional<std::chrono::steady_clock::time_point> seen_; // a supervisor
    std::chrono::steady_clock::time_point next_start_{};
};

} // namespace kiln::launcher
