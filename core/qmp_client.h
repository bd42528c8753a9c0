// SPDX-License-Identifier: Apache-2.0
// QEMU's machine protocol (docs/interop/qmp-spec of QEMU 7.2). Safe for several threads.
#pragma once

#include "core/json_socket.h"

#include <deque>
#include <mutex>
#include <vector>

namespace kiln
{

class QmpClient
{
public:
    // Reads the greeting and negotiates. Throws Error{launch}.
    explicit QmpClient(JsonSocket socket);
    // The command's return value; events on the way are kept for take_events. Throws Error{launch} with QEMU's
    // words for an error.
    Json execute(const std::string& command, const Json& arguments = Json::object(),
                 std::chrono::milliseconds limit = std::chrono::seconds(30));
    // The same, with a descriptor (`add-fd`, `getfd`) of which QEMU gets a copy.
    Json execute_with_descriptor(const std::string& command, const Json& arguments, int descriptor,
                                 std::chrono::milliseconds limit = std::chrono::seconds(30));
    // The events that came since the last call, oldest first, also when QEMU has closed the connection since; never
    // throws an Error. The oldest are dropped past 256.
    [[nodiscard]] std::vector<Json> take_events();
    // Readable when there is something for take_events.
    [[nodiscard]] int descriptor() const noexcept { return socket_.descriptor(); }

private:
    [[nodiscard]] Json answer_to(const std::string& command, Deadline deadline);
    void keep(Json event);

    std::mutex mutex_;
    JsonSocket socket_;
    std::deque<Json> events_;
};

} // namespace kiln
