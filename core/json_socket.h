// SPDX-License-Identifier: Apache-2.0
// One JSON value a line over a UNIX socket, which QMP, the guest agent and the supervisor's
// own control socket all speak. Everything has a deadline and a length cap; a malformed or missing
// answer is an Error{launch}, never a hang.
#pragma once

#include "core/file_descriptor.h"
#include "core/json.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln
{

using Deadline = std::chrono::steady_clock::time_point;
[[nodiscard]] inline Deadline in(std::chrono::milliseconds time)
{
    return std::chrono::steady_clock::now() + time;
}

class JsonSocket
{
public:
    // `peer` names the other side in messages: "QEMU", "the guest agent".
    JsonSocket(FileDescriptor fd, std::string peer) : fd_(std::move(fd)), peer_(std::move(peer)) {}
    // Throws Error{launch} when nobody listens there.
    [[nodiscard]] static JsonSocket connect(const std::filesystem::path& path, std::string peer);

    void send(const Json& value, Deadline deadline);
    void send_bytes(std::string_view bytes, Deadline deadline);
    // The next line as it came. Throws Error{launch} at the deadline, at the end of the stream and past
    // 64 MiB, Error{interrupted} on a stop.
    [[nodiscard]] std::string receive_line(Deadline deadline, const std::stop_token& stop = {});
    [[nodiscard]] Json receive(Deadline deadline, const std::stop_token& stop = {});
    // Whether the other side has closed the connection.
    [[nodiscard]] bool closed() const;
    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }

private:
    FileDescriptor fd_;
    std::string peer_;
    std::string buffer_;
};

// A listening socket with mode 0600; an old one at that path is replaced.
[[nodiscard]] FileDescriptor listen_on(const std::filesystem::path& path);

} // namespace kiln
