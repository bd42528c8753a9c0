// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/membership.h"

#include "core/error.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/vpc/vpc_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::launcher
{
namespace
{

constexpr std::uint32_t user_gateway = 0x0a000202U; // 10.0.2.2
constexpr std::chrono::seconds answer_limit{40};

std::vector<SecurityGroup> groups_of(const Paths& paths, const Instance& instance)
{
    std::vector<SecurityGroup> groups;
    groups.reserve(instance.security_groups.size());
    for (const std::string& id : instance.security_groups) {
        groups.push_back(load_group(paths, id));
    }
    return groups;
}

} // namespace

NetworkChoice resolve_network(const Paths& paths, std::string_view network, const std::vector<std::string>& groups)
{
    NetworkChoice choice{.mode = std::string(network.substr(0, network.find(':')))};
    const bool named = choice.mode.size() != network.size();
    if ((choice.mode != "user" && choice.mode != "none" && choice.mode != "vpc") || (named && choice.mode != "vpc")) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no network", printable(network, false)),
                    "user, none, vpc (the default VPC) or vpc:NETWORK");
    }
    if (choice.mode == "vpc") {
        choice.vpc_id = resolve_vpc(paths, named ? network.substr(4) : default_vpc).id;
    }
    if (choice.mode == "none" && !groups.empty()) {
        throw Error(ErrorKind::usage, "an instance without a network is in no security group");
    }
    for (const std::string& reference : groups) {
        const std::string id = resolve_group(paths, reference).id;
        if (std::ranges::find(choice.groups, id) == choice.groups.end()) {
            choice.groups.push_back(id);
        }
    }
    if (choice.mode == "vpc" && groups.empty()) {
        choice.groups.push_back(resolve_group(paths, default_group).id);
    }
    if (choice.groups.size() > most_groups) {
        throw Error(ErrorKind::usage,
                    fmt::format("SecurityGroupsPerInstanceLimitExceeded: {} groups, and an instance is in up to {}",
                                choice.groups.size(), most_groups));
    }
    return choice;
}

void require_network(const NetworkChoice& choice)
{
    if (choice.mode == "vpc") {
        require_program("ip", "iproute2");
        require_program("nft", "nftables");
        require_program("dnsmasq", "dnsmasq-base");
    }
}

std::vector<std::string> take_addresses(const Paths& paths, const NetworkChoice& choice, std::size_t count)
{
    for (const std::string& group : choice.groups) {
        static_cast<void>(load_group(paths, group));
    }
    std::vector<std::string> addresses;
    if (choice.mode != "vpc") {
        return addresses;
    }
    const Vpc vpc = load_vpc(paths, choice.vpc_id);
    std::vector<std::uint32_t> used;
    for (const Instance& instance : list_instances(paths)) {
        if (instance.vpc_id == vpc.id) {
            used.push_back(parse_ipv4(instance.private_ip_address).value_or(0));
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        used.push_back(free_address(vpc, used));
        addresses.push_back(ipv4_text(used.back()));
    }
    return addresses;
}

std::uint32_t forwarding_host(const Paths& paths, const Instance& instance)
{
    return instance.network == "vpc" ? load_vpc(paths, instance.vpc_id).host() : user_gateway;
}

bool may_forward(const Paths& paths, const Instance& instance, std::uint16_t port)
{
    if (instance.network == "none") {
        return false;
    }
    if (instance.network != "vpc" && instance.security_groups.empty()) {
        return true;
    }
    return lets_in(groups_of(paths, instance), forwarding_host(paths, instance), port);
}

void require_forwardable(const Paths& paths, const Instance& instance, std::uint16_t port)
{
    if (instance.network == "none") {
        throw Error(ErrorKind::conflict, fmt::format("{} has no network", instance.id));
    }
    if (!may_forward(paths, instance, port)) {
        const std::string host = ipv4_text(forwarding_host(paths, instance));
        throw Error(ErrorKind::permission_denied,
                    fmt::format("no security group of {} lets tcp port {} in from this host, which is {} there",
                                instance.id, port, host),
                    fmt::format("`kiln security-group authorize {} --protocol tcp --port {} --cidr {}/32`",
                                instance.security_groups.empty() ? "GROUP" : instance.security_groups.front(), port,
                                host));
    }
}

void apply_group(const Paths& paths, const std::string& group_id, const std::stop_token& stop)
{
    reload_vpcs(paths);
    for (const Instance& instance : list_instances(paths)) {
        const auto& groups = instance.security_groups;
        if (instance.state == InstanceState::running && std::ranges::find(groups, group_id) != groups.end()) {
            static_cast<void>(
                ask_supervisor(paths, instance.id, {{"request", "apply-security-groups"}}, answer_limit, stop));
        }
    }
}

} // namespace kiln::launcher
