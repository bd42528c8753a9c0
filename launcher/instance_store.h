// SPDX-License-Identifier: Apache-2.0
// Internal: writes instances' records and tells whether their QEMU lives.
#pragma once

#include "launcher/instance.h"

#include <optional>
#include <string_view>
#include <sys/types.h>

namespace kiln::launcher
{

// The record as it is on disk, whatever QEMU does. Throws Error{not_found, io}.
[[nodiscard]] Instance load_record(const InstancePaths& paths);
void save_record(const InstancePaths& paths, const Instance& instance); // durable

// Appends a line to events.jsonl, durably.
void append_event(const InstancePaths& paths, std::string_view event, const Json& detail);

// The pid of the instance's QEMU if it runs. A pid file alone proves nothing: the process must have
// the instance's id on its command line.
[[nodiscard]] std::optional<pid_t> find_qemu(const InstancePaths& paths, std::string_view id);
// The same of its network helper.
[[nodiscard]] std::optional<pid_t> find_network_helper(const InstancePaths& paths, std::string_view id);

} // namespace kiln::launcher
