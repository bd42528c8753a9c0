// SPDX-License-Identifier: Apache-2.0
// Internal: what a launch and a start have in common.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <chrono>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// Programs and firmware. Throws Error{missing_tool}.
void require_programs(const std::string& boot_mode);

// Whether the host has the memory for `count` such instances now. Throws Error{launch}.
void require_memory(const std::string& type, ByteSize memory, unsigned count = 1);

// What "pending" and "running" say for whoever adds the bill up.
[[nodiscard]] Json bill_of(const Instance& instance);

// The folder of its sockets, which a host's reboot may have taken.
void make_run_folder(const Paths& paths, const InstancePaths& files);

// Of an instance whose record says pending: returns when QEMU runs it, or throws Error{launch} with what kept it from.
void await_start(const Paths& paths, const std::string& id, const std::stop_token& stop);

} // namespace kiln::launcher
