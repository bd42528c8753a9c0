// SPDX-License-Identifier: Apache-2.0
// VPCs and security groups as files, and what nftables, ip and dnsmasq are told of them.
#include "core/descriptor_message.h"
#include "core/error.h"
#include "core/files.h"
#include "launcher/network/guest_network.h"
#include "launcher/vpc/membership.h"
#include "launcher/vpc/ruleset.h"
#include "tests/support/golden.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fcntl.h>
#include <functional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace kiln::launcher
{
namespace
{

using testing::HasSubstr;
using testing::Not;

ErrorKind kind_of(const std::function<void()>& work)
{
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorKind::internal;
}

TEST(Cidr, IsReadAsEc2ReadsIt)
{
    EXPECT_EQ(to_string(parse_cidr("172.31.7.9/20").value()), "172.31.0.0/20");
    EXPECT_EQ(to_string(parse_cidr("0.0.0.0/0").value()), "0.0.0.0/0");
    EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(0xffffffffU));
    EXPECT_TRUE(parse_cidr("10.1.2.3/32")->contains(0x0a010203U));
    EXPECT_FALSE(parse_cidr("10.1.2.3/32")->contains(0x0a010204U));
    EXPECT_EQ(ipv4_text(parse_cidr("10.1.0.0/24")->last()), "10.1.0.255");
    for (const char* text : {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/8 ", "10.0.0.0/-1", "10.0.0/8",
                             "::/0", "10.0.0.0/8;drop", "/8"}) {
        EXPECT_FALSE(parse_cidr(text)) << text;
    }
}

class VpcFiles : public testing::Test
{
protected:
    // One instance with that place, as a launch leaves it.
    Instance add_instance(const std::string& id, const NetworkChoice& choice, const std::string& address)
    {
        const InstancePaths files(paths_, id);
        std::filesystem::create_directories(files.folder);
        Instance instance = small_instance(files);
        instance.id = id;
        instance.state = InstanceState::stopped;
        instance.network = choice.mode;
        instance.vpc_id = choice.vpc_id;
        instance.security_groups = choice.groups;
        instance.private_ip_address = address;
        save_record(files, instance);
        return instance;
    }

    test::TemporaryFolder folder_;
    Paths paths_ = paths_in(folder_.path());
};

TEST_F(VpcFiles, AVpcIsFoundByEachOfItsNames)
{
    const Vpc vpc = create_vpc(paths_, "lab", "10.1.0.0/24");
    for (const std::string& name : {vpc.id, vpc.subnet_id, std::string("lab")}) {
        EXPECT_EQ(to_json(resolve_vpc(paths_, name)), to_json(vpc)) << name;
    }
    EXPECT_EQ(resolve_vpc(paths_, "default").id, resolve_vpc(paths_, "default").id); // made once
    EXPECT_EQ(list_vpcs(paths_).size(), 2U);
    EXPECT_EQ(kind_of([&] { static_cast<void>(resolve_vpc(paths_, "other")); }), ErrorKind::not_found);
    EXPECT_EQ(kind_of([&] { create_vpc(paths_, "lab", "10.2.0.0/24"); }), ErrorKind::conflict);
    EXPECT_EQ(kind_of([&] { create_vpc(paths_, "../x", "10.2.0.0/24"); }), ErrorKind::usage);
    for (const char* cidr : {"8.8.8.0/24", "10.0.0.0/8", "10.0.0.0/29", "100.64.0.0/24", "172.32.0.0/16", "x"}) {
        EXPECT_EQ(kind_of([&] { create_vpc(paths_, "b", cidr); }), ErrorKind::usage) << cidr;
    }
}

TEST_F(VpcFiles, AddressesAreThoseThatEc2Gives)
{
    const Vpc vpc = create_vpc(paths_, "small", "10.1.0.16/28");
    const NetworkChoice choice{.mode = "vpc", .vpc_id = vpc.id};
    EXPECT_EQ(ipv4_text(vpc.router()) + ipv4_text(vpc.name_server()) + ipv4_text(vpc.host()),
              "10.1.0.1710.1.0.1810.1.0.19");
    add_instance("i-0123456789abcdef0", choice, "10.1.0.21");
    EXPECT_EQ(take_addresses(paths_, choice, 2), (std::vector<std::string>{"10.1.0.20", "10.1.0.22"}));
    EXPECT_EQ(take_addresses(paths_, choice, 10).back(), "10.1.0.30"); // .31 is for broadcasts
    EXPECT_EQ(kind_of([&] { static_cast<void>(take_addresses(paths_, choice, 11)); }), ErrorKind::conflict);
    EXPECT_EQ(kind_of([&] { delete_vpc(paths_, vpc.id); }), ErrorKind::conflict);
    std::filesystem::remove_all(paths_.instances);
    delete_vpc(paths_, vpc.id);
    EXPECT_EQ(kind_of([&] { static_cast<void>(take_addresses(paths_, choice, 1)); }), ErrorKind::not_found);
}

TEST_F(VpcFiles, ANewGroupLetsEverythingOutAndNothingIn)
{
    const SecurityGroup group = create_group(paths_, "web", "web servers");
    ASSERT_EQ(group.rules.size(), 1U);
    EXPECT_EQ(describe(group.rules[0], {}), "everything to 0.0.0.0/0");
    EXPECT_FALSE(lets_in({group}, 0x0a000202U, 80));
    const SecurityGroup own = resolve_group(paths_, "default");
    EXPECT_EQ(describe(own.rules[1], {own}), "everything from " + own.id + " (default)");
    EXPECT_EQ(kind_of([&] { create_group(paths_, "web", ""); }), ErrorKind::conflict);
    for (const char* name : {"", "sg-1", "-x", "a b", "a\nb", "a/../\x1b"}) {
        EXPECT_EQ(kind_of([&] { create_group(paths_, name, ""); }), ErrorKind::usage) << name;
    }
}

TEST_F(VpcFiles, RulesComeAndGo)
{
    const SecurityGroup web = create_group(paths_, "web", "");
    const SecurityGroup app = create_group(paths_, "app", "");
    GroupRule rule{.protocol = "tcp", .ports = {{80, 81}}, .cidr = parse_cidr("10.0.2.0/24")};
    const SecurityGroup now = authorize(paths_, web.id, rule);
    EXPECT_TRUE(lets_in({now}, 0x0a000202U, 80));
    EXPECT_TRUE(lets_in({app, now}, 0x0a000202U, 81));
    EXPECT_FALSE(lets_in({now}, 0x0a000202U, 82));
    EXPECT_FALSE(lets_in({now}, 0x0a000302U, 80));
    EXPECT_EQ(kind_of([&] { authorize(paths_, web.id, rule); }), ErrorKind::conflict);
    EXPECT_EQ(revoke(paths_, web.id, rule).rules.size(), 1U);
    EXPECT_EQ(kind_of([&] { revoke(paths_, web.id, rule); }), ErrorKind::not_found);
    EXPECT_EQ(kind_of([&] { revoke(paths_, web.id, "sgr-x"); }), ErrorKind::not_found);

    rule = {.protocol = "udp", .group_id = app.id};
    authorize(paths_, web.id, rule);
    EXPECT_FALSE(lets_in({load_group(paths_, web.id)}, 0x0a000202U, 80)); // this host is in no group
    EXPECT_EQ(kind_of([&] { delete_group(paths_, app.id); }), ErrorKind::conflict);
    add_instance("i-0123456789abcdef0", resolve_network(paths_, "user", {"web"}), "");
    EXPECT_EQ(kind_of([&] { delete_group(paths_, web.id); }), ErrorKind::conflict);
    std::filesystem::remove_all(paths_.instances);
    delete_group(paths_, web.id);
    delete_group(paths_, app.id);
    EXPECT_TRUE(list_groups(paths_).empty());

    const SecurityGroup one = create_group(paths_, "one", "");
    for (const GroupRule& wrong :
         {GroupRule{.protocol = "gre", .cidr = Cidr{}},
          GroupRule{.protocol = "icmp", .ports = {{1, 2}}, .cidr = Cidr{}},
          GroupRule{.protocol = "tcp", .ports = {{2, 1}}, .cidr = Cidr{}}, GroupRule{.protocol = "tcp"}}) {
        EXPECT_EQ(kind_of([&] { authorize(paths_, one.id, wrong); }), ErrorKind::usage);
    }
}

// What is in them becomes nftables' language.
TEST_F(VpcFiles, AGroupsFileThatWasChangedByHandIsRefused)
{
    const SecurityGroup group = create_group(paths_, "web", "");
    authorize(paths_, group.id, {.protocol = "tcp", .ports = {{80, 80}}, .cidr = Cidr{}});
    const std::filesystem::path file = paths_.home / "security-groups" / (group.id + ".json");
    const std::string good = read_file(file);
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"tcp\"", "\"tcp accept #\""},
                                   {"0.0.0.0/0", "0.0.0.0/0 accept"},
                                   {"\"from_port\": 80", "\"from_port\": 81"},
                                   {"\"from_port\": 80", "\"from_port\": 65616"},
                                   {group.id, "sg-0/../../../../../x"}}) {
        std::string bad = good;
        const auto at = bad.find(from);
        ASSERT_NE(at, bad.npos) << from;
        bad.replace(at, from.size(), to);
        write_file_durably(file, bad);
        EXPECT_EQ(kind_of([&] { static_cast<void>(load_group(paths_, group.id)); }), ErrorKind::io) << to;
    }
}

TEST_F(VpcFiles, ForwardsHeedTheGroups)
{
    Instance instance = add_instance("i-0123456789abcdef0", {}, "");
    EXPECT_TRUE(may_forward(paths_, instance, 80)); // as before there were groups
    const SecurityGroup group = create_group(paths_, "web", "");
    instance.security_groups = {group.id};
    EXPECT_EQ(kind_of([&] { require_forwardable(paths_, instance, 80); }), ErrorKind::permission_denied);
    authorize(paths_, group.id, {.protocol = "tcp", .ports = {{80, 80}}, .cidr = parse_cidr("10.0.2.2/32")});
    EXPECT_TRUE(may_forward(paths_, instance, 80));
    EXPECT_FALSE(may_forward(paths_, instance, 22));
    const NetworkChoice choice = resolve_network(paths_, "vpc", {"web"});
    instance.network = "vpc";
    instance.vpc_id = choice.vpc_id;
    EXPECT_FALSE(may_forward(paths_, instance, 80)); // there this host is 172.31.0.3
    authorize(paths_, group.id, {.protocol = "-1", .cidr = parse_cidr("172.31.0.0/20")});
    EXPECT_TRUE(may_forward(paths_, instance, 22));
    instance.network = "none";
    EXPECT_EQ(kind_of([&] { require_forwardable(paths_, instance, 80); }), ErrorKind::conflict);
}

TEST_F(VpcFiles, WhatIsAskedForOfTheNetwork)
{
    EXPECT_EQ(resolve_network(paths_, "vpc", {}).groups, std::vector{resolve_group(paths_, "default").id});
    EXPECT_TRUE(resolve_network(paths_, "user", {}).groups.empty());
    EXPECT_EQ(resolve_network(paths_, "user", {"default", "default"}).groups.size(), 1U);
    for (const char* network : {"", "bridge", "user:x", "none:", "vpc2"}) {
        EXPECT_EQ(kind_of([&] { static_cast<void>(resolve_network(paths_, network, {})); }), ErrorKind::usage)
            << network;
    }
    EXPECT_EQ(kind_of([&] { static_cast<void>(resolve_network(paths_, "none", {"default"})); }), ErrorKind::usage);
    EXPECT_EQ(kind_of([&] { static_cast<void>(resolve_network(paths_, "vpc:x", {})); }), ErrorKind::not_found);
}

std::vector<VpcMember> two_members()
{
    return {{"i-0123456789abcdef0", "web", "02:01:23:45:67:89", 0xac1f0004U, {"sg-00000000000000001"}},
            {"i-1123456789abcdef0", "", "02:11:23:45:67:89", 0xac1f0005U, {"sg-00000000000000002"}}};
}

TEST(VpcRuleset, IsWhole)
{
    SecurityGroup web{.id = "sg-00000000000000001", .name = "web"};
    web.rules.push_back({.protocol = "tcp", .ports = {{80, 81}}, .group_id = "sg-00000000000000002"});
    web.rules.push_back({.protocol = "icmp", .cidr = Cidr{}});
    web.rules.push_back({.egress = true, .cidr = Cidr{}});
    web.rules.push_back({.protocol = "udp", .group_id = "sg-0000000000000dead"}); // gone: allows nothing
    SecurityGroup app{.id = "sg-00000000000000002", .name = "app"};
    app.rules.push_back({.egress = true, .protocol = "udp", .cidr = parse_cidr("10.0.0.0/8")});
    test::expect_golden("launcher/vpc-ruleset.nft", ruleset(two_members(), {web, app}));
    EXPECT_THAT(ruleset({}, {}), HasSubstr("chain ingress {\n    drop\n"));
}

TEST(VpcRuleset, NamesAndAddressesForDnsmasq)
{
    std::vector<VpcMember> members = two_members();
    EXPECT_EQ(hosts_file(members),
              "172.31.0.4 web.kiln.internal web i-0123456789abcdef0.kiln.internal i-0123456789abcdef0 "
              "ip-172-31-0-4.kiln.internal ip-172-31-0-4\n"
              "172.31.0.5 i-1123456789abcdef0.kiln.internal i-1123456789abcdef0 "
              "ip-172-31-0-5.kiln.internal ip-172-31-0-5\n");
    EXPECT_EQ(dhcp_hosts_file(members), "02:01:23:45:67:89,172.31.0.4,web,infinite\n"
                                        "02:11:23:45:67:89,172.31.0.5,i-1123456789abcdef0,infinite\n");
    members[0].host_name = "x\n6.6.6.6 debian.org"; // a record that somebody wrote
    EXPECT_THAT(hosts_file(members) + dhcp_hosts_file(members), Not(HasSubstr("6.6.6.6")));
}

TEST(VpcRuleset, DevicesAndDnsmasqsArguments)
{
    const Vpc vpc{"vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "default", *parse_cidr("172.31.0.0/20"), ""};
    const VpcPaths files(paths_in("/home/kiln"), vpc.id);
    std::string text = device_script(vpc);
    for (const std::string& argument : dnsmasq_argv(vpc, files)) {
        text += argument + "\n";
    }
    test::expect_golden("launcher/vpc-devices.txt", text);
    EXPECT_LE(tap_device("i-0123456789abcdef0").size(), 15U);
}

// In a VPC what is for this host goes to the stack for forwards, metadata to the service, all else to the VPC.
TEST(VpcCard, OnlyWhatIsForTheHostStays)
{
    const test::TemporaryFolder folder;
    int sent = 0;
    GuestNetwork network({.host_name = "i",
                          .metadata_socket = folder.path() / "imds.sock",
                          .vpc = VpcCard{.network = 0xac1f0000U,
                                         .netmask = 0xfffff000U,
                                         .guest = 0xac1f0004U,
                                         .host = 0xac1f0003U,
                                         .name_server = 0xac1f0002U,
                                         .send = [&](Frame) { ++sent; }}},
                         [](std::span<std::uint8_t>) {});
    std::array<std::uint8_t, 60> frame{};
    frame[12] = 8;
    frame[14] = 0x45;
    const auto to = [&](std::array<std::uint8_t, 4> address) {
        std::copy(address.begin(), address.end(), frame.begin() + 30);
        network.input(frame);
        return std::exchange(sent, 0);
    };
    EXPECT_EQ(to({172, 31, 0, 5}), 1);
    EXPECT_EQ(to({8, 8, 8, 8}), 1);
    EXPECT_EQ(to({172, 31, 0, 3}), 0);
    EXPECT_EQ(to({169, 254, 169, 254}), 0);
    EXPECT_EQ(to({169, 254, 170, 2}), 0);
}

TEST(DescriptorMessage, BringsTheDescriptor)
{
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const FileDescriptor one(ends[0]);
    FileDescriptor other(ends[1]);
    int through[2];
    ASSERT_EQ(::pipe2(through, O_CLOEXEC), 0);
    const FileDescriptor read_end(through[0]);
    send_with_descriptor(one.get(), {{"result", 1}}, through[1]);
    ::close(through[1]);
    const DescriptorMessage message = receive_with_descriptor(other.get(), in(std::chrono::seconds(5)), "it");
    EXPECT_EQ(message.line, Json({{"result", 1}}));
    ASSERT_EQ(::write(message.descriptor.get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);

    EXPECT_THROW(static_cast<void>(receive_with_descriptor(other.get(), in(std::chrono::milliseconds(20)), "it")),
                 Error);
    ASSERT_EQ(::write(one.get(), "{no json\n", 9), 9);
    EXPECT_THROW(static_cast<void>(receive_with_descriptor(other.get(), in(std::chrono::seconds(5)), "it")), Error);
    other = FileDescriptor();
    EXPECT_THROW(send_with_descriptor(one.get(), {{"result", 1}}, one.get()), Error);
}

} // namespace
} // namespace kiln::launcher
