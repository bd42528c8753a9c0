// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/vpc_holder.h"

#include "core/descriptor_message.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "core/random.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr int frames_a_turn = 64;
constexpr std::size_t own_polls = 2; // the control socket's and the uplink's; then one for each connection
constexpr seconds first_patience{20};
constexpr milliseconds last_patience{500}; // a helper that was killed comes back at once
constexpr seconds request_limit{2};

bool is_our_user(int connection)
{
    ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::getuid();
}

} // namespace

VpcHolder::VpcHolder(const Paths& paths, Vpc vpc)
    : paths_(paths), vpc_(std::move(vpc)), files_(paths, vpc_.id), uplink_(namespace_.open_tap(uplink_device)),
      nat_({.network = uplink_network,
            .gateway = uplink_network + 2,
            .name_server = uplink_network + 3,
            .guest = uplink_network + 15,
            .host_name = {},
            .ipv6 = false},
           [this](std::span<std::uint8_t> frame) {
               // One that the namespace does not take now is lost, as in any network.
               [[maybe_unused]] const ssize_t written = ::write(uplink_.get(), frame.data(), frame.size());
           })
{
    for (const auto& [program, package] :
         {std::pair{"ip", "iproute2"}, {"nft", "nftables"}, {"dnsmasq", "dnsmasq-base"}}) {
        require_program(program, package);
    }
    make_private_directory(paths.run);
    make_directories(files_.run, 0700);
    namespace_.run_ip(device_script(vpc_));
    namespace_.set_sysctl("ipv4/ip_forward", "1");
    // ARP for all addresses is answered by the bridge, and nobody is told of a shorter way.
    namespace_.set_sysctl(fmt::format("ipv4/conf/{}/proxy_arp_pvlan", bridge_device), "1");
    namespace_.set_sysctl("ipv4/conf/all/send_redirects", "0");
    namespace_.set_sysctl(fmt::format("ipv4/conf/{}/send_redirects", bridge_device), "0");
    apply();
    namespace_.inside([&] { dnsmasq_.emplace(dnsmasq_argv(vpc_, files_), files_.log); });
    control_ = listen_on(files_.control_socket);
}

VpcHolder::~VpcHolder()
{
    dnsmasq_.reset();
    std::error_code ignored;
    fs::remove_all(files_.run, ignored);
    fs::remove(paths_.run, ignored); // when it was the last one
}

void VpcHolder::run(const std::stop_token& stop, milliseconds patience)
{
    auto deadline = Clock::now() + patience;
    std::vector<pollfd> polled;
    while (!stop.stop_requested()) {
        milliseconds timeout = connections_.empty() ? milliseconds(100) : milliseconds(1000);
        polled = {{control_.get(), POLLIN, 0}, {uplink_.get(), POLLIN, 0}};
        for (const Connection& connection : connections_) {
            polled.push_back({connection.socket.descriptor(), POLLIN | POLLRDHUP, 0});
        }
        const std::size_t own = polled.size();
        nat_.add_polls(polled, timeout);
        if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) < 0 && errno != EINTR) {
            throw system_error(errno, "waiting for frames");
        }
        take_frames();
        nat_.dispatch(polled);
        // A helper says nothing more: what can be read is its end.
        std::size_t left = 0;
        for (std::size_t i = own; i-- > own_polls;) {
            if (polled[i].revents != 0) {
                connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i - own_polls));
                ++left;
            }
        }
        if (left != 0) {
            apply();
            deadline = Clock::now() + last_patience;
        }
        if ((polled[0].revents & POLLIN) != 0) {
            FileDescriptor client(::accept4(control_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (client && is_our_user(client.get())) {
                answer(JsonSocket(std::move(client), "the network helper"));
            }
        }
        if (!dnsmasq_->running()) { // another holder starts it with all else
            throw Error(ErrorKind::launch, "dnsmasq has ended");
        }
        if (connections_.empty() && Clock::now() > deadline) {
            return;
        }
    }
}

void VpcHolder::take_frames()
{
    std::array<std::uint8_t, 2 * longest_frame> buffer{};
    for (int i = 0; i < frames_a_turn; ++i) {
        const ssize_t size = ::read(uplink_.get(), buffer.data(), buffer.size());
        if (size <= 0) {
            return;
        }
        const Frame frame(buffer.data(), static_cast<std::size_t>(size));
        if (destination_of(frame) == Destination::nat) { // the helpers look, too
            nat_.input(frame);
        }
    }
}

void VpcHolder::answer(JsonSocket client)
{
    try {
        const Json request = client.receive(in(request_limit));
        const std::string name = string_member(request, "request", "the request");
        if (name == "attach") {
            attach(std::move(client), string_member(request, "instance_id", "the request"));
            return;
        }
        Json result = Json::object();
        if (name == "reload") {
            for (Connection& connection : connections_) {
                connection.member = load_member(connection.member.instance_id);
            }
            apply();
        } else if (name == "members") {
            result["instances"] = Json::array();
            for (const Connection& connection : connections_) {
                result["instances"].push_back(connection.member.instance_id);
            }
        } else {
            throw Error(ErrorKind::internal, "the network knows no such request");
        }
        client.send(result_answer(std::move(result)), in(request_limit));
    } catch (const std::exception& error) {
        try {
            client.send(error_answer(error), in(request_limit));
        } catch (const Error&) { // it has gone
        }
    }
}

void VpcHolder::attach(JsonSocket client, const std::string& instance_id)
{
    std::optional<Connection> connection;
    try {
        VpcMember member = load_member(instance_id);
        // A helper that was killed and its tap are gone, whether we have seen it or not.
        std::erase_if(connections_, [&](const Connection& one) { return one.member.instance_id == instance_id; });
        const std::string device = tap_device(instance_id);
        const FileDescriptor tap = namespace_.open_tap(device);
        namespace_.run_ip(fmt::format("link set {0} master {1}\n"
                                      "link set {0} type bridge_slave isolated on\n"
                                      "link set {0} up\n",
                                      device, bridge_device));
        connections_.push_back({std::move(client), std::move(member)});
        apply();
        send_with_descriptor(connections_.back().socket.descriptor(), result_answer(Json::object()), tap.get());
    } catch (const std::exception& error) {
        if (!connections_.empty() && connections_.back().member.instance_id == instance_id) {
            client = std::move(connections_.back().socket);
            connections_.pop_back();
        }
        client.send(error_answer(error), in(request_limit));
    }
}

VpcMember VpcHolder::load_member(const std::string& instance_id) const
{
    if (!is_resource_id("i-", instance_id)) {
        throw Error(ErrorKind::usage, "that is not an instance's id");
    }
    const Instance instance = load_record(InstancePaths(paths_, instance_id));
    const auto address = parse_ipv4(instance.private_ip_address);
    if (instance.vpc_id != vpc_.id || !address || *address < vpc_.first() || *address >= vpc_.cidr.last()) {
        throw Error(ErrorKind::launch, fmt::format("{} has no address in the network {}", instance_id, vpc_.name));
    }
    return {.instance_id = instance_id,
            .host_name = instance.name.value_or(""),
            .mac = mac_address(instance_id),
            .address = *address,
            .groups = instance.security_groups};
}

void VpcHolder::apply()
{
    std::vector<VpcMember> members;
    members.reserve(connections_.size());
    for (const Connection& connection : connections_) {
        members.push_back(connection.member);
    }
    namespace_.run_nft(ruleset(members, list_groups(paths_)));
    // Nothing of it is needed after a crash.
    write_file_durably(files_.hosts, hosts_file(members), 0600);
    write_file_durably(files_.dhcp_hosts, dhcp_hosts_file(members), 0600);
    if (dnsmasq_) {
        dnsmasq_->signal(SIGHUP);
    }
}

int serve_vpc(const Paths& paths, const std::string& id)
{
    if (!is_resource_id("vpc-", id)) {
        throw Error(ErrorKind::usage, "that is not a network's id");
    }
    const VpcPaths files(paths, id);
    Vpc vpc = load_vpc(paths, id);
    const FileLock lock(files.lock, FileLock::Wait::fail, id + " has a holder already");
    VpcHolder(paths, std::move(vpc)).run(interrupt_token(), first_patience);
    return 0;
}

void try_vpc(const Paths& paths)
{
    const Vpc nowhere{random_resource_id("vpc-"), random_resource_id("subnet-"), "none", *parse_cidr(default_cidr), ""};
    make_directories(VpcPaths(paths, nowhere.id).log.parent_path(), 0700);
    VpcHolder(paths, nowhere).run({}, milliseconds(0));
    std::error_code ignored;
    fs::remove(VpcPaths(paths, nowhere.id).log, ignored);
}

} // namespace kiln::launcher
