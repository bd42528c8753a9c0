// SPDX-License-Identifier: Apache-2.0
// The address of a UNIX socket.
#pragma once

#include <sys/un.h>

#include <filesystem>

namespace kiln
{

// Throws Error{launch} for a path that does not fit: 107 bytes do (unix(7)).
[[nodiscard]] sockaddr_un unix_address(const std::filesystem::path& path);

} // namespace kiln
