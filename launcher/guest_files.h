// SPDX-License-Identifier: Apache-2.0
// Single files to and from a guest, through its agent: there need not be a network. As root there.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <sys/types.h>

#include <cstdint>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// Writes what the guest's file has to `to`. Returns the number of bytes. Throws Error{launch} with the agent's words.
std::uint64_t copy_from_guest(const Paths& paths, const Instance& instance, const std::string& path, int to,
                              const std::stop_token& stop);

// Makes what `from` has the guest's file: it is there as a whole or not at all.
std::uint64_t copy_to_guest(const Paths& paths, const Instance& instance, int from, const std::string& path,
                            mode_t mode, const std::stop_token& stop);

} // namespace kiln::launcher
