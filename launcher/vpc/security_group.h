// SPDX-License-Identifier: Apache-2.0
// Security groups: who may reach the instances that are in them, and whom these may reach. Only what a rule allows
// passes; answers to what passed always do. A group is a file, security-groups/sg-....json, and belongs to no VPC: a
// rule that names a group means its members in the same VPC.
#pragma once

#include "core/json.h"
#include "core/paths.h"
#include "launcher/vpc/ipv4.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::launcher
{

inline constexpr std::string_view default_group = "default"; // made when it is first used
inline constexpr std::size_t most_groups = 5;                // of an instance (EC2's default)
inline constexpr std::size_t most_rules = 60;                // of a group in one direction (EC2's default)

struct GroupRule {
    std::string id{}; // "sgr-" and 17 hex digits
    bool egress = false;
    std::string protocol = "-1";                                    // "tcp", "udp", "icmp", or "-1": all
    std::optional<std::pair<std::uint16_t, std::uint16_t>> ports{}; // first and last, of tcp and udp; nullopt: all
    std::optional<Cidr> cidr{};                                     // either this,
    std::string group_id{};                                         // or the members of that group

    // Whether they allow the same.
    [[nodiscard]] bool equals(const GroupRule& other) const;
};

struct SecurityGroup {
    std::string id{}; // "sg-" and 17 hex digits
    std::string name{};
    std::string description{};
    std::string created{}; // ISO 8601
    std::vector<GroupRule> rules{};
};

[[nodiscard]] Json to_json(const SecurityGroup& group);

// A new group lets everything out and nothing in, as EC2's. Throws Error{usage, conflict}.
SecurityGroup create_group(const Paths& paths, const std::string& name, const std::string& description);

// Oldest first. Throws Error{io} for a file that is malformed.
[[nodiscard]] std::vector<SecurityGroup> list_groups(const Paths& paths);
// By id or name; `default` is made: its members reach one another. Throws Error{not_found}.
[[nodiscard]] SecurityGroup resolve_group(const Paths& paths, std::string_view reference);
[[nodiscard]] SecurityGroup load_group(const Paths& paths, const std::string& id);

// Adds the rule and returns the group. Throws Error{conflict} for one that is there (EC2: InvalidPermission.Duplicate)
// and past most_rules, Error{usage} for one that makes no sense.
SecurityGroup authorize(const Paths& paths, const std::string& id, GroupRule rule);
// Removes the rules of that id, or that equal `like`. Throws Error{not_found} (EC2: InvalidPermission.NotFound).
SecurityGroup revoke(const Paths& paths, const std::string& id, const std::string& rule_id);
SecurityGroup revoke(const Paths& paths, const std::string& id, const GroupRule& like);

// Throws Error{conflict} (EC2: DependencyViolation) while an instance or another group's rule uses it.
void delete_group(const Paths& paths, const std::string& id);

// "tcp 80-81 from 10.0.0.0/8"
[[nodiscard]] std::string describe(const GroupRule& rule, const std::vector<SecurityGroup>& groups);

// Whether the groups let TCP from `source` in to `port`. Members of groups are instances, and `source` is none.
[[nodiscard]] bool lets_in(const std::vector<SecurityGroup>& groups, std::uint32_t source, std::uint16_t port);

} // namespace kiln::launcher
