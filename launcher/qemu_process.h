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

// All but the program's own argv, each as it is here unless it is given. What is a path is opened as this user, before
// the confinement.
struct DetachedSettings {
    std::optional<mode_t> mask{};
    std::optional<Confinement> confinement{};
    std::vector<int> inherited{};     // descriptors that stay open, under their numbers
    std::filesystem::path folder{};   // to start in
    std::filesystem::path pid_file{}; // to write its pid to, before the program begins
};

// Starts argv in a session of its own, without the death signal that core/process sets, with its
// output appended to `log`. Returns its pid; a child of ours until we end. It ends with 126 when its settings can't be
// made so. Throws Error{missing_tool, launch}.
pid_t start_detached(const std::vector<std::string>& argv, const std::filesystem::path& log,
                     const DetachedSettings& settings = {});

// A TCP port of 127.0.0.1 that was free a moment ago.
[[nodiscard]] std::uint16_t find_free_port();

} // namespace kiln::launcher
