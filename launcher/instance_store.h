// SPDX-License-Identifier: Apache-2.0
// Internal: writes instances' records and tells whether their QEMU lives.
#pragma once

#include "launcher/instance.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>
#include <sys/types.h>

namespace kiln::launcher
{

// The record as it is on disk, whatever QEMU does. Throws Error{not_found, io}.
[[nodiscard]] Instance load_record(const InstancePaths& paths);
void save_record(const InstancePaths& paths, const Instance& instance); // durable, without volumes
// Reads the record, has it changed and saves it, alone: commands and the supervisor change it at the same time. Returns
// the new one. Throws Error{not_found} when the instance is gone.
Instance update_record(const InstancePaths& paths, const std::function<void(Instance&)>& change);

// Appends a line to events.jsonl, durably, also behind a line that a crash has cut off. What changes the record too is
// appended while it does (update_record), so that of an accident between the two the log, which the bill is made of,
// has the event: who finds the old record does the same again, and a second end of a run is none.
void append_event_line(const std::filesystem::path& log, std::string_view event, const Json& detail);
void append_event(const InstancePaths& paths, std::string_view event, const Json& detail);
// Notes in the log's time of change that the instance runs: what a crash leaves of its end.
void touch_events(const InstancePaths& paths) noexcept;

// Whether a supervisor has the instance's lock.
[[nodiscard]] bool has_supervisor(const InstancePaths& paths);

// Of this boot of the host (/proc/sys/kernel/random/boot_id), and when it was.
[[nodiscard]] std::string host_boot_id();
[[nodiscard]] std::chrono::system_clock::time_point host_boot_time();

// The pid of the instance's QEMU if it runs. A pid file alone proves nothing: the process must have
// the instance's id on its command line.
[[nodiscard]] std::optional<pid_t> find_qemu(const InstancePaths& paths, std::string_view id);
// The same of its network helper.
[[nodiscard]] std::optional<pid_t> find_network_helper(const InstancePaths& paths, std::string_view id);

} // namespace kiln::launcher
