// SPDX-License-Identifier: Apache-2.0
// SIGINT, SIGTERM and SIGHUP as a std::stop_token: long work takes the token, and a stop_callback
// ends what it waits for. A second signal ends the process at once.
#pragma once

#include <stop_token>

namespace kiln
{

// Blocks the three signals in this thread (and the ones it starts later) and watches for them in a
// thread of its own. Call once, first thing in main. SIGPIPE is ignored.
void watch_signals();

// The token that those signals stop. Never stopped before watch_signals().
[[nodiscard]] std::stop_token interrupt_token();

// Throws Error{interrupted} when a stop was requested.
void throw_if_interrupted(const std::stop_token& stop);

} // namespace kiln
