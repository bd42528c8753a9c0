// SPDX-License-Identifier: Apache-2.0
// How a remote registry is talked to.
#pragma once

#include "core/byte_size.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

namespace kiln::registry::remote
{

struct RemoteLimits {
    std::chrono::milliseconds connect{20'000};
    std::chrono::milliseconds document{120'000}; // for a manifest, a token, an answer without a body
    ByteSize slowest{1024};                      // per second, of a blob
    std::chrono::seconds slow_for{30};           // so long below that, and the transfer ends
    std::chrono::seconds silent_for{300};        // the same for one that is sent: the server may work on what it has
    int attempts = 4;                            // in a row that bring nothing
    std::chrono::milliseconds first_pause{500};  // between two; doubles each time
    std::chrono::milliseconds longest_pause{30'000};
};

struct RemoteOptions {
    bool plain_http = false;         // also for hosts other than this machine
    std::filesystem::path ca_file{}; // instead of the system's certificates
    std::vector<std::filesystem::path> credential_files{};
    unsigned connections = 3; // blobs at the same time
    RemoteLimits limits{};
    std::function<void(std::string_view)> note{}; // a line for the user; from any thread
};

} // namespace kiln::registry::remote
