// SPDX-License-Identifier: Apache-2.0
// Internal: what becomes of an instance whose processes have ended.
#pragma once

#include "core/paths.h"

#include <string>

namespace kiln::launcher
{

// Removes all that is a terminated instance's but its record and event log, which move to ended/. Can be done again
// after a crash.
void bury(const Paths& paths, const std::string& id);

// Ends and removes an instance whose launch failed: it was none, and nothing of it is billed.
void discard(const Paths& paths, const std::string& id);

} // namespace kiln::launcher
