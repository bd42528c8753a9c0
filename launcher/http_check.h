// SPDX-License-Identifier: Apache-2.0
// Internal: asks a web server in the guest, through a port of 127.0.0.1. The answer is hostile: no proxy, no redirect,
// no other protocol, and a cap on its time, headers and body.
#pragma once

#include "bundle/manifest.h"

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

struct GuestAnswer {
    long status = 0;
    std::string body; // at most its first MiB
};

// GET. The guest's server sees the port that it listens on, `guest_port`, in the Host header. Throws
// Error{launch} when no whole answer came within `limit`, Error{interrupted} on a stop.
[[nodiscard]] GuestAnswer http_get(std::uint16_t host_port, std::uint16_t guest_port, const std::string& path,
                                   std::chrono::milliseconds limit, const std::stop_token& stop);

// Asks until the answer is as `test` (of kind http) wants it, or the test's timeout has passed. Returns
// what came last instead (of tries with at least half of that time, if there was one), or nothing.
[[nodiscard]] std::string wait_for_http(std::uint16_t host_port, const bundle::Test& test, const std::stop_token& stop);

} // namespace kiln::launcher
