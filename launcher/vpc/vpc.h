// SPDX-License-Identifier: Apache-2.0
// A VPC: a network of instances that reach one another by private addresses, with one subnet. It is a file,
// networks/vpc-....json; what runs of it (vpc_holder.h) comes with its first instance and goes with its last.
#pragma once

#include "core/json.h"
#include "core/paths.h"
#include "launcher/vpc/ipv4.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

inline constexpr std::string_view default_vpc = "default"; // made when it is first used, as EC2's
inline constexpr const char* default_cidr = "172.31.0.0/20";

struct Vpc {
    std::string id;        // "vpc-" and 17 hex digits
    std::string subnet_id; // "subnet-" and 17 hex digits
    std::string name;
    Cidr cidr;           // of 16 to 65,536 addresses
    std::string created; // ISO 8601

    // As EC2 reserves them: the first address behind the network's own is the router, the next one the name server. The
    // third, "reserved for future use", is the host, from where forwarded connections come.
    [[nodiscard]] std::uint32_t router() const noexcept { return cidr.address + 1; }
    [[nodiscard]] std::uint32_t name_server() const noexcept { return cidr.address + 2; }
    [[nodiscard]] std::uint32_t host() const noexcept { return cidr.address + 3; }
    [[nodiscard]] std::uint32_t first() const noexcept { return cidr.address + 4; }
};

[[nodiscard]] Json to_json(const Vpc& vpc);

// Throws Error{usage} for a name or block that is none, Error{conflict} for a name that is taken. Blocks of two VPCs
// may overlap: they don't see one another.
Vpc create_vpc(const Paths& paths, const std::string& name, const std::string& cidr);

// Oldest first. Throws Error{io} for a file that is malformed.
[[nodiscard]] std::vector<Vpc> list_vpcs(const Paths& paths);

// By id, subnet id or name; `default` is made. Throws Error{not_found}.
[[nodiscard]] Vpc resolve_vpc(const Paths& paths, std::string_view reference);
[[nodiscard]] Vpc load_vpc(const Paths& paths, const std::string& id);

// Throws Error{conflict} (EC2: DependencyViolation) while an instance is in it.
void delete_vpc(const Paths& paths, const std::string& id);

// The lowest private address that no instance of the VPC has. The caller holds instances.lock. Throws
// Error{conflict} when there is none (EC2: InsufficientFreeAddressesInSubnet).
[[nodiscard]] std::uint32_t free_address(const Vpc& vpc, const std::vector<std::uint32_t>& used);

// What the holder of a running VPC has, below Paths::run.
struct VpcPaths {
    VpcPaths(const Paths& paths, const std::string& id);

    std::filesystem::path record;
    std::filesystem::path lock; // the holder's, for as long as it runs
    std::filesystem::path log;
    std::filesystem::path run; // 0700
    std::filesystem::path control_socket;
    std::filesystem::path hosts;      // names, for dnsmasq
    std::filesystem::path dhcp_hosts; // addresses, for dnsmasq
};

} // namespace kiln::launcher
