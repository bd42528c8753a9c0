// SPDX-License-Identifier: Apache-2.0
// Internal: how commands talk to an instance's supervisor: one request and one answer, a line of JSON
// each, over its control socket.
#pragma once

#include "core/json.h"
#include "core/json_socket.h"
#include "core/paths.h"

#include <chrono>
#include <exception>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// Sends `request` and returns the answer's "result"; an "error" in it is thrown as the Error that the
// supervisor had. Where QEMU runs but its supervisor died, a new one is started first. Throws
// Error{launch} when the instance is not running.
[[nodiscard]] Json ask_supervisor(const Paths& paths, const std::string& id, const Json& request,
                                  std::chrono::milliseconds limit, const std::stop_token& stop);

// The same for a request whose effect lasts for as long as the connection is open.
struct HeldAnswer {
    Json result;
    JsonSocket socket;
};
[[nodiscard]] HeldAnswer ask_and_hold(const Paths& paths, const std::string& id, const Json& request,
                                      std::chrono::milliseconds limit, const std::stop_token& stop);

// Starts `kiln-supervisor supervise ID` as a process of its own.
void start_supervisor(const Paths& paths, const std::string& id);

// An answer's "result"; its "error" is thrown as the Error that the other side had. `what` names the answer.
[[nodiscard]] Json result_of(const Json& answer, std::string_view what);

[[nodiscard]] Json result_answer(Json result);
[[nodiscard]] Json error_answer(const std::exception& error);

} // namespace kiln::launcher
