// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/security_group.h"

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/vpc/group_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kiln::launcher
{
namespace
{

bool has_ports(const GroupRule& rule)
{
    return rule.protocol == "tcp" || rule.protocol == "udp";
}

void require_sense(const Paths& paths, const GroupRule& rule)
{
    if (!is_protocol(rule.protocol)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no protocol", printable(rule.protocol, false)),
                    "tcp, udp, icmp, or -1 for all");
    }
    if (rule.ports && !has_ports(rule)) {
        throw Error(ErrorKind::usage, "only tcp and udp have ports");
    }
    if (rule.ports && rule.ports->first > rule.ports->second) {
        throw Error(ErrorKind::usage, fmt::format("{}-{} is no range of ports", rule.ports->first, rule.ports->second));
    }
    if (rule.cidr.has_value() != rule.group_id.empty()) {
        throw Error(ErrorKind::usage, "a rule is about a block of addresses or about a group");
    }
    if (!rule.group_id.empty()) {
        static_cast<void>(load_group(paths, rule.group_id));
    }
}

SecurityGroup change(const Paths& paths, const std::string& id, const auto& work)
{
    const GroupLock lock(paths);
    SecurityGroup group = load_group(paths, id);
    work(group);
    save_group(paths, group);
    return group;
}

SecurityGroup revoke_if(const Paths& paths, const std::string& id, const auto& is_meant)
{
    return change(paths, id, [&](SecurityGroup& group) {
        if (std::erase_if(group.rules, is_meant) == 0) {
            throw Error(ErrorKind::not_found,
                        fmt::format("InvalidPermission.NotFound: {} has no such rule", group.name),
                        fmt::format("`kiln security-group show {}` lists them", group.name));
        }
    });
}

} // namespace

bool GroupRule::equals(const GroupRule& other) const
{
    return std::tie(egress, protocol, ports, cidr, group_id) ==
           std::tie(other.egress, other.protocol, other.ports, other.cidr, other.group_id);
}

SecurityGroup authorize(const Paths& paths, const std::string& id, GroupRule rule)
{
    require_sense(paths, rule);
    rule.id = random_resource_id("sgr-");
    return change(paths, id, [&](SecurityGroup& group) {
        if (std::ranges::any_of(group.rules, [&](const GroupRule& one) { return one.equals(rule); })) {
            throw Error(ErrorKind::conflict,
                        fmt::format("InvalidPermission.Duplicate: {} has that rule already", group.name));
        }
        const auto count = std::ranges::count(group.rules, rule.egress, &GroupRule::egress);
        if (static_cast<std::size_t>(count) >= most_rules) {
            throw Error(ErrorKind::conflict,
                        fmt::format("RulesPerSecurityGroupLimitExceeded: {} has {} rules already", group.name, count),
                        "use wider blocks or ranges, or another group");
        }
        group.rules.push_back(rule);
    });
}

SecurityGroup revoke(const Paths& paths, const std::string& id, const std::string& rule_id)
{
    return revoke_if(paths, id, [&](const GroupRule& rule) { return rule.id == rule_id; });
}

SecurityGroup revoke(const Paths& paths, const std::string& id, const GroupRule& like)
{
    return revoke_if(paths, id, [&](const GroupRule& rule) { return rule.equals(like); });
}

std::string describe(const GroupRule& rule, const std::vector<SecurityGroup>& groups)
{
    const auto group = std::ranges::find(groups, rule.group_id, &SecurityGroup::id);
    const std::string peer = rule.cidr               ? to_string(*rule.cidr)
                             : group != groups.end() ? fmt::format("{} ({})", rule.group_id, group->name)
                                                     : rule.group_id;
    std::string ports = "all ports";
    if (rule.ports) {
        ports = rule.ports->first == rule.ports->second ? std::to_string(rule.ports->first)
                                                        : fmt::format("{}-{}", rule.ports->first, rule.ports->second);
    }
    const std::string what = rule.protocol == "-1" ? "everything"
                             : has_ports(rule)     ? fmt::format("{} {}", rule.protocol, ports)
                                                   : rule.protocol;
    return fmt::format("{} {} {}", what, rule.egress ? "to" : "from", peer);
}

bool lets_in(const std::vector<SecurityGroup>& groups, std::uint32_t source, std::uint16_t port)
{
    const auto allows = [&](const GroupRule& rule) {
        return !rule.egress && (rule.protocol == "-1" || rule.protocol == "tcp") && rule.cidr &&
               rule.cidr->contains(source) &&
               (!rule.ports || (rule.ports->first <= port && port <= rule.ports->second));
    };
    return std::ranges::any_of(groups,
                               [&](const SecurityGroup& group) { return std::ranges::any_of(group.rules, allows); });
}

} // namespace kiln::launcher
