// SPDX-License-Identifier: Apache-2.0
// A file descriptor over a UNIX socket (SCM_RIGHTS, unix(7)), with a line of JSON.
#pragma once

#include "core/file_descriptor.h"
#include "core/json_socket.h"

#include <string_view>

namespace kiln
{

// Throws Error{launch} when the other side does not take it at once.
void send_with_descriptor(int socket, const Json& line, int descriptor);

// NOLINTNEXTLINE(bugprone-exception-escape): of nlohmann's destructor, which allocates for a deep value
struct DescriptorMessage {
    Json line;
    FileDescriptor descriptor; // none where the other side sent none
};
// The next line, which nothing follows. Throws Error{launch} at the deadline and at the end of the stream; `peer` names
// the other side.
[[nodiscard]] DescriptorMessage receive_with_descriptor(int socket, Deadline deadline, std::string_view peer);

} // namespace kiln
