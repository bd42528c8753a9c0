// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/ruleset.h"

#include "core/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view domain = "kiln.internal";

std::string set_name(const std::string& group_id)
{
    return "members_" + group_id.substr(3);
}

std::string elements(const std::vector<std::string>& values)
{
    return values.empty() ? std::string() : fmt::format(" elements = {{ {} }};", fmt::join(values, ", "));
}

std::string member_sets(const std::vector<VpcMember>& members, const std::vector<SecurityGroup>& groups)
{
    std::string sets;
    for (const SecurityGroup& group : groups) {
        std::vector<std::string> addresses;
        for (const VpcMember& member : members) {
            if (std::ranges::find(member.groups, group.id) != member.groups.end()) {
                addresses.push_back(ipv4_text(member.address));
            }
        }
        sets += fmt::format("  set {} {{ type ipv4_addr;{} }}\n", set_name(group.id), elements(addresses));
    }
    return sets;
}

std::string traffic(const GroupRule& rule)
{
    if (rule.protocol == "-1") {
        return {};
    }
    if (!rule.ports) {
        return fmt::format(" meta l4proto {}", rule.protocol);
    }
    return fmt::format(" {} dport {}-{}", rule.protocol, rule.ports->first, rule.ports->second);
}

// What passes returns from the chain, the rest ends in it.
std::string direction_chain(const std::vector<SecurityGroup>& groups, bool egress)
{
    const std::string_view ours = egress ? "saddr" : "daddr";
    const std::string_view theirs = egress ? "daddr" : "saddr";
    std::string chain = fmt::format("  chain {} {{\n", egress ? "egress" : "ingress");
    for (const SecurityGroup& group : groups) {
        for (const GroupRule& rule : group.rules) {
            const bool known =
                rule.cidr || std::ranges::find(groups, rule.group_id, &SecurityGroup::id) != groups.end();
            if (rule.egress == egress && known) {
                chain += fmt::format("    ip {} @{} ip {} {}{} return\n", ours, set_name(group.id), theirs,
                                     rule.cidr ? to_string(*rule.cidr) : "@" + set_name(rule.group_id), traffic(rule));
            }
        }
    }
    return chain + "    drop\n  }\n";
}

// An instance sends by its own addresses alone.
std::string bridge_table(const std::vector<VpcMember>& members)
{
    std::vector<std::string> cards;
    cards.reserve(members.size());
    for (const VpcMember& member : members) {
        cards.push_back(
            fmt::format("\"{}\" . {} . {}", tap_device(member.instance_id), member.mac, ipv4_text(member.address)));
    }
    return fmt::format(R"(table bridge kiln {{}}
delete table bridge kiln
table bridge kiln {{
  set cards {{ type ifname . ether_addr . ipv4_addr;{} }}
  chain prerouting {{
    type filter hook prerouting priority -300; policy drop;
    ether type ip iifname . ether saddr . ip saddr @cards accept
    ether type arp iifname . arp saddr ether . arp saddr ip @cards accept
    ether type arp arp saddr ip 0.0.0.0 accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
  }}
}}
)",
                       elements(cards));
}

} // namespace

std::string tap_device(const std::string& instance_id)
{
    return "tap" + instance_id.substr(2, 12);
}

std::string ruleset(const std::vector<VpcMember>& members, const std::vector<SecurityGroup>& groups)
{
    return fmt::format(R"(table inet kiln {{}}
delete table inet kiln
table inet kiln {{
{0}{1}{2}  chain input {{
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    iifname "{3}" meta l4proto {{ tcp, udp }} th dport 53 accept
    iifname "{3}" udp dport 67 accept
    iifname "{3}" icmp type echo-request accept
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct state invalid drop
    iifname != "{3}" drop
    ip daddr {5} drop
    jump egress
    oifname "{3}" jump ingress
    accept
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{4}" masquerade
  }}
}}
{6})",
                       member_sets(members, groups), direction_chain(groups, true), direction_chain(groups, false),
                       bridge_device, uplink_device, uplink_block, bridge_table(members));
}

std::string device_script(const Vpc& vpc)
{
    // The bridge keeps its card's address when another holder makes it anew: guests remember it.
    const std::string hex = vpc.id.substr(4, 10);
    return fmt::format("link set lo up\n"
                       "link add {0} type bridge stp_state 0\n"
                       "link set {0} address 06:{1}:{2}:{3}:{4}:{5}\n"
                       "addr add {6}/{8} dev {0}\n"
                       "addr add {7}/{8} dev {0}\n"
                       "link set {0} up\n"
                       "addr add {9}/24 dev {10}\n"
                       "link set {10} up\n"
                       "route add default via {11}\n",
                       bridge_device, hex.substr(0, 2), hex.substr(2, 2), hex.substr(4, 2), hex.substr(6, 2),
                       hex.substr(8, 2), ipv4_text(vpc.router()), ipv4_text(vpc.name_server()), vpc.cidr.prefix,
                       ipv4_text(uplink_network + 15), uplink_device, ipv4_text(uplink_network + 2));
}

std::string hosts_file(const std::vector<VpcMember>& members)
{
    std::string text;
    for (const VpcMember& member : members) {
        std::string dashed = ipv4_text(member.address);
        std::ranges::replace(dashed, '.', '-');
        std::vector<std::string> names;
        if (is_region_name(member.host_name)) {
            names.push_back(member.host_name);
        }
        names.push_back(member.instance_id);
        names.push_back("ip-" + dashed);
        text += ipv4_text(member.address);
        for (const std::string& name : names) {
            text += fmt::format(" {0}.{1} {0}", name, domain);
        }
        text += '\n';
    }
    return text;
}

std::string dhcp_hosts_file(const std::vector<VpcMember>& members)
{
    std::string text;
    for (const VpcMember& member : members) {
        text += fmt::format("{},{},{},infinite\n", member.mac, ipv4_text(member.address),
                            is_region_name(member.host_name) ? member.host_name : member.instance_id);
    }
    return text;
}

std::vector<std::string> dnsmasq_argv(const Vpc& vpc, const VpcPaths& files)
{
    return {
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=", // in a user namespace there is nobody else to become
        "--group=",
        "--pid-file=",
        "--log-facility=-",
        fmt::format("--interface={}", bridge_device),
        "--except-interface=lo",
        "--bind-interfaces",
        "--no-hosts",
        "--no-resolv",
        fmt::format("--server={}", ipv4_text(uplink_network + 3)),
        fmt::format("--addn-hosts={}", files.hosts.native()),
        fmt::format("--dhcp-hostsfile={}", files.dhcp_hosts.native()),
        fmt::format("--dhcp-range={},static,{},infinite", ipv4_text(vpc.cidr.address), ipv4_text(vpc.cidr.netmask())),
        "--quiet-dhcp",
        "--dhcp-authoritative",
        "--dhcp-ignore-names", // a guest gives itself no name, least of all another's
        "--leasefile-ro",
        "--no-ping",
        fmt::format("--dhcp-option=option:router,{}", ipv4_text(vpc.router())),
        fmt::format("--dhcp-option=option:dns-server,{}", ipv4_text(vpc.name_server())),
        fmt::format("--domain={}", domain),
        fmt::format("--local=/{}/", domain)};
}

} // namespace kiln::launcher
