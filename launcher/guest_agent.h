// SPDX-License-Identifier: Apache-2.0
// Internal: the QEMU guest agent's protocol. What comes from there is the guest's word and hostile.
// Safe for several threads; each request holds the line for its own time only.
#pragma once

#include "core/json_socket.h"
#include "launcher/guest.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace kiln::launcher
{

class GuestAgent
{
public:
    explicit GuestAgent(std::filesystem::path socket) : path_(std::move(socket)) {}

    // Throws Error{launch}: no answer in time, or the agent's own error. Between freeze() and thaw() the agent would
    // refuse all but a ping: other threads' requests wait for their time.
    Json execute(const std::string& command, const Json& arguments, std::chrono::milliseconds limit);
    [[nodiscard]] bool answers(std::chrono::milliseconds limit);

    // `cancelled` is asked between polls; true gives the wait up (the command goes on in the guest).
    [[nodiscard]] ExecResult exec(const std::vector<std::string>& argv, const std::string& input,
                                  std::chrono::milliseconds limit, const std::function<bool()>& cancelled);

    // Numbers of file systems frozen and thawed. A thaw follows each freeze, also one that failed.
    std::int64_t freeze(std::chrono::milliseconds limit);
    std::int64_t thaw(std::chrono::milliseconds limit);

private:
    void synchronize(Deadline deadline);
    void set_frozen(bool frozen);

    std::filesystem::path path_;
    std::mutex mutex_;
    std::condition_variable thawed_;
    bool frozen_ = false;
    std::optional<JsonSocket> socket_; // none until the first request and after a failed one
};

} // namespace kiln::launcher
