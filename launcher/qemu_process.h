// SPDX-License-Identifier: Apache-2.0
// Internal: starts an instance's QEMU so that it outlives whoever started it, and watches one by pid.
#pragma once

#include "core/file_descriptor.h"
#include "launcher/confinement.h"
#include "launcher/instance.h"

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace kiln::launcher
{

// A running process, held by a pidfd, so that a reused pid can't be mistaken for it.
class WatchedProcess
{
public:
    explicit WatchedProcess(pid_t pid); // throws Error{launch} when there is none
    [[nodiscard]] bool ended() const;
    // True when it ended within `limit`.
    [[nodiscard]] bool wait(std::chrono::milliseconds limit) const;
    void signal(int number) const noexcept;
    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    pid_t pid_;
    FileDescriptor fd_;
};

// Starts argv in a session of its own, without the death signal that core/process sets, with its
// output appended to `log`; `mask` becomes its umask. Returns its pid; a child of ours until we end. Confined, it ends
// with 126 when that is refused. Throws Error{missing_tool, launch}.
pid_t start_detached(const std::vector<std::string>& argv, const std::filesystem::path& log,
                     std::optional<mode_t> mask = {}, const std::optional<Confinement>& confinement = {});

// A TCP port of 127.0.0.1 that was free a moment ago.
[[nodiscard]] std::uint16_t find_free_port();

} // namespace kiln::launcher
