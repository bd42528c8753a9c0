// SPDX-License-Identifier: Apache-2.0
// What can be asked of a running instance, through its supervisor. Each call may be made by several
// processes at once. All throw Error{launch} when the instance is not running or does not answer.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

struct ExecResult {
    int status = 0; // exit status; 128 + signal number when a signal ended it
    std::string output;
    std::string errors;
    bool truncated = false; // the guest agent keeps at most 16 MiB of each stream
};

// Runs argv in the guest, without a shell, as root. Throws Error{launch} past `timeout`.
[[nodiscard]] ExecResult exec(const Paths& paths, const Instance& instance, const std::vector<std::string>& argv,
                              const std::string& input, std::chrono::seconds timeout, const std::stop_token& stop);

} // namespace kiln::launcher
