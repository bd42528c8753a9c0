// SPDX-License-Identifier: Apache-2.0
// Internal: a VPC's instances and security groups -> nftables' rules, a pure function; and the names of its devices.
// The bridge's ports are isolated: each frame goes to the bridge itself, which answers ARP for all addresses and routes
// between them. So all traffic passes one place where connections are tracked, which bridges can't do in a user
// namespace.
#pragma once

#include "launcher/vpc/security_group.h"
#include "launcher/vpc/vpc.h"

#include <string>
#include <vector>

namespace kiln::launcher
{

inline constexpr const char* bridge_device = "br0";
inline constexpr const char* uplink_device = "up0";
inline constexpr std::uint32_t uplink_network = 0x64400000U; // 100.64.0.0/24 (RFC 6598): between the VPC and NAT
inline constexpr const char* uplink_block = "100.64.0.0/24";

// One instance that is connected.
struct VpcMember {
    std::string instance_id;
    std::string host_name; // its name, or empty
    std::string mac;
    std::uint32_t address = 0;
    std::vector<std::string> groups; // ids
};

[[nodiscard]] std::string tap_device(const std::string& instance_id); // 15 characters at most

// A script for `nft -f -`, which replaces what was there in one transaction. A group that is in no `groups` allows
// nothing.
[[nodiscard]] std::string ruleset(const std::vector<VpcMember>& members, const std::vector<SecurityGroup>& groups);

// A script for `ip -batch -` that makes bridge and routes; the uplink is there.
[[nodiscard]] std::string device_script(const Vpc& vpc);

// Files of dnsmasq: the names of instances, and which card gets which address.
[[nodiscard]] std::string hosts_file(const std::vector<VpcMember>& members);
[[nodiscard]] std::string dhcp_hosts_file(const std::vector<VpcMember>& members);

// DHCP and DNS on the bridge.
[[nodiscard]] std::vector<std::string> dnsmasq_argv(const Vpc& vpc, const VpcPaths& files);

} // namespace kiln::launcher
