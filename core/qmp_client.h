// SPDX-License-Identifier: Apache-2.0
// QEMU's machine protocol (docs/interop/qmp-spec of QEMU 7.2). Safe for several threads.
#pragma once

#include "core/json_socket.h"

#include <mutex>

namespace kiln
{

class QmpClient
{
public:
    // Reads the greeting and negotiates. Throws Error{launch}.
    explicit QmpClient(JsonSocket socket);
    // The command's return value; events on the way are dropped. Throws Error{launch} with QEMU's
    // words for an error.
    Json execute(const std::string& command, const Json& arguments = Json::object(),
                 std::chrono::milliseconds limit = std::chrono::seconds(30));

private:
    std::mutex mutex_;
    JsonSocket socket_;
};

} // namespace kiln
