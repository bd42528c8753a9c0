// SPDX-License-Identifier: Apache-2.0
#include "core/unix_address.h"

#include "core/error.h"

#include <fmt/format.h>

#include <cstring>
#include <sys/socket.h>

namespace kiln
{

sockaddr_un unix_address(const std::filesystem::path& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) {
        throw Error(ErrorKind::launch, fmt::format("the socket path {} is too long", path.native()),
                    "set XDG_RUNTIME_DIR to a folder with a short path");
    }
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    return address;
}

} // namespace kiln
