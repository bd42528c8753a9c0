// SPDX-License-Identifier: Apache-2.0
// An instance's place in VPC and security groups: what is checked and given at its launch, and what its groups let in
// of that which is forwarded from the host.
#pragma once

#include "launcher/instance.h"
#include "launcher/vpc/security_group.h"
#include "launcher/vpc/vpc.h"

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct NetworkChoice {
    std::string mode = "user"; // or "vpc", "none"
    std::string vpc_id{};      // of mode "vpc"
    std::vector<std::string> groups{};
};

// "user", "none", "vpc" or "vpc:NETWORK", and groups by id or name. In a VPC no groups means `default`. Throws
// Error{usage, not_found}.
[[nodiscard]] NetworkChoice resolve_network(const Paths& paths, std::string_view network,
                                            const std::vector<std::string>& groups);

// The programs that a VPC needs. Throws Error{missing_tool}.
void require_network(const NetworkChoice& choice);

// Private addresses for `count` new instances, none of them for a choice without VPC. The caller holds instances.lock
// until the instances are there. Throws Error{not_found} when network or groups have gone, Error{conflict} when no
// address is left.
[[nodiscard]] std::vector<std::string> take_addresses(const Paths& paths, const NetworkChoice& choice,
                                                      std::size_t count);

// Where the guest sees connections come from that the host forwards to it.
[[nodiscard]] std::uint32_t forwarding_host(const Paths& paths, const Instance& instance);

// Whether TCP that the host forwards to the port may pass. Without groups (in mode "user") all may.
[[nodiscard]] bool may_forward(const Paths& paths, const Instance& instance, std::uint16_t port);
// Throws Error{permission_denied} unless it may.
void require_forwardable(const Paths& paths, const Instance& instance, std::uint16_t port);

// Has everything that runs heed a group that has changed. Throws when something could not be told; what starts later
// heeds it anyway.
void apply_group(const Paths& paths, const std::string& group_id, const std::stop_token& stop);

} // namespace kiln::launcher
