// SPDX-License-Identifier: Apache-2.0
// Internal: one command at a time changes whether an instance runs. The kernel releases the lock when the command dies;
// what it left half done, settle() or the next command finishes.
#pragma once

#include "core/files.h"
#include "launcher/instance_store.h"

#include <chrono>
#include <stop_token>
#include <string_view>

namespace kiln::launcher
{

// Tries again and again until `limit`: somebody who only looks whether a lock is taken has it for a moment. Throws
// Error{conflict} with `busy` then, Error{interrupted} on a stop.
[[nodiscard]] FileLock lock_within(const std::filesystem::path& file, std::chrono::milliseconds limit,
                                   std::string_view busy, const std::stop_token& stop);

// Waits for another command on the same instance. Throws Error{conflict} when it is terminated.
[[nodiscard]] FileLock lock_life(const InstancePaths& paths, const std::stop_token& stop);

// Returns when no supervisor has the instance, which ends by itself after QEMU has, or after 15 s.
void wait_for_supervisor(const InstancePaths& paths);

// Writes down an end that nobody could: QEMU is gone, its supervisor too, and the record says that it runs. Returns the
// record. The caller has the life lock.
Instance settle(const InstancePaths& paths, const std::string& id);

} // namespace kiln::launcher
