// SPDX-License-Identifier: Apache-2.0
// What can be asked of a running instance, through its supervisor. Each call may be made by several
// processes at once. All throw Error{launch} when the instance is not running or does not answer.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <chrono>
#include <filesystem>
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

// A point-in-time copy of every disk of a running instance.
struct CopiedDisk {
    InstanceDisk disk;           // as the instance has it
    std::filesystem::path delta; // qcow2 without backing-file string: what differs from disk.layers
};
struct DiskCopies {
    std::vector<CopiedDisk> disks;
    std::string consistency;                 // "filesystem", or "crash" when the guest could not freeze
    std::string consistency_reason;          // why "crash"; empty otherwise
    std::chrono::milliseconds frozen_for{0}; // from freeze to thaw
};
// Freezes the guest's file systems, starts the copies of all disks in one QMP transaction, thaws,
// and waits for the copies, which go to `into`. The guest runs on, whatever happens.
// Throws Error{no_space} before anything is touched when the copies would not fit.
[[nodiscard]] DiskCopies copy_disks(const Paths& paths, const Instance& instance, const std::filesystem::path& into,
                                    const std::stop_token& stop);

} // namespace kiln::launcher
