// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/network_helper.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/unix_address.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"
#include "launcher/metadata/metadata_source.h"
#include "launcher/vpc/security_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int frames_a_turn = 64; // then the stacks get their turn
// Frames that QEMU has not taken yet. From the first number on nothing new is read from the host's connections, at
// the second frames are lost, as in a switch.
constexpr std::size_t enough_frames = 64;
constexpr std::size_t most_frames = 1024;
constexpr int port_attempts = 5;
constexpr seconds link_pause{1}; // between attempts to connect to a VPC

uid_t owner_of(const std::filesystem::path& path)
{
    struct stat status {
    };
    if (::lstat(path.c_str(), &status) != 0) {
        throw system_error(errno, fmt::format("looking at {}", path.native()));
    }
    return status.st_uid;
}

// In a folder of this user, for this user alone; in QEMU's, which has a user of its own, for whom the folder lets in.
FileDescriptor bind_datagrams(const std::filesystem::path& path)
{
    const sockaddr_un address = unix_address(path);
    const mode_t mask = owner_of(path.parent_path()) == ::geteuid() ? 0177 : 0111;
    FileDescriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(path.c_str());
    const mode_t before = ::umask(mask);
    const bool bound = fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const int number = errno;
    ::umask(before);
    if (!bound) {
        throw system_error(number, fmt::format("listening on {}", path.native()));
    }
    return fd;
}

MetadataSource load_metadata(const InstancePaths& paths, const NetworkPlace& place)
{
    MetadataSource source = load_metadata_source(paths);
    if (place.vpc) {
        source.vpc = place.vpc->vpc;
    }
    source.security_groups = place.security_groups;
    return source;
}

std::uint16_t port_of(const Json& request, std::string_view key, std::int64_t lowest = 1)
{
    const std::int64_t port = integer_member(request, key, "the request");
    if (port < lowest || port > 65535) {
        throw Error(ErrorKind::usage, fmt::format("{} is no TCP port", port));
    }
    return static_cast<std::uint16_t>(port);
}

VpcCard card_of(const Instance& instance, const VpcAttachment& attachment)
{
    const Vpc& vpc = attachment.vpc;
    const auto address = parse_ipv4(instance.private_ip_address);
    if (!address || !vpc.cidr.contains(*address)) {
        throw Error(ErrorKind::launch, fmt::format("{} has no address in the network {}", instance.id, vpc.name));
    }
    return {.network = vpc.cidr.address,
            .netmask = vpc.cidr.netmask(),
            .guest = *address,
            .host = vpc.host(),
            .name_server = vpc.name_server(),
            .send = [&link = attachment.link](Frame frame) { link.send(frame); }};
}

NetworkPlace place_of(const Paths& paths, const Instance& instance)
{
    NetworkPlace place;
    if (instance.network == "vpc") {
        place.vpc = VpcAttachment{load_vpc(paths, instance.vpc_id), VpcLink(paths, instance.vpc_id, instance.id)};
    }
    for (const std::string& group : instance.security_groups) {
        place.security_groups.push_back(load_group(paths, group).name);
    }
    return place;
}

bool is_our_user(int connection)
{
    ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::getuid();
}

} // namespace

NetworkHelper::NetworkHelper(const InstancePaths& paths, const Instance& instance, NetworkPlace place)
    : paths_(paths), id_(instance.id), frames_(bind_datagrams(paths.network_socket)), place_(std::move(place)),
      metadata_([this] { return load_metadata(paths_, place_); }),
      metadata_server_(paths.metadata_socket,
                       [this](const MetadataRequest& request) { return metadata_.answer(request); }),
      network_({.host_name = instance.id,
                .metadata_socket = paths.metadata_socket,
                .metadata_hop_limit = static_cast<std::uint8_t>(instance.metadata.hop_limit),
                .vpc = place_.vpc ? std::optional(card_of(instance, *place_.vpc)) : std::nullopt},
               [this](Frame frame) { queue_frame(frame); }),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), control_(listen_on(paths.network_control_socket)),
      control_thread_([this](const std::stop_token& stop) { serve_control(stop); })
{
}

NetworkHelper::~NetworkHelper()
{
    const std::lock_guard lock(mutex_);
    ended_ = true;
    tasks_.clear(); // the control thread, which may wait for one, gets broken_promise
}

void NetworkHelper::run(const std::stop_token& stop, seconds patience)
{
    const std::stop_callback wake_up(stop, [this] { ::eventfd_write(wake_.get(), 1); });
    const Deadline deadline = in(patience);
    connect_to_qemu(); // which runs already when the helper before this one has died
    std::vector<pollfd> polled;
    while (!stop.stop_requested()) {
        find_qemu_process();
        if (!qemu_ && steady_clock::now() > deadline) {
            break;
        }
        const auto wanted = static_cast<short>(POLLIN | (outgoing_.empty() ? 0 : POLLOUT));
        look_after_link();
        const bool room = outgoing_.size() < enough_frames;
        polled = {{frames_.get(), wanted, 0},
                  {wake_.get(), POLLIN, 0},
                  {qemu_ ? qemu_->descriptor() : -1, POLLIN, 0},
                  {place_.vpc && room ? place_.vpc->link.tap() : -1, POLLIN, 0},
                  {place_.vpc ? place_.vpc->link.control() : -1, POLLIN, 0}};
        milliseconds timeout{place_.vpc && !place_.vpc->link.attached() ? 200 : qemu_ ? 60'000 : 500};
        if (room) {
            network_.add_polls(polled, timeout);
        }
        if (::poll(polled.data(), polled.size(), static_cast<int>(timeout.count())) < 0 && errno != EINTR) {
            throw system_error(errno, "waiting for frames");
        }
        if (polled[2].revents != 0) {
            break; // QEMU has ended
        }
        send_frames();
        receive_frames();
        if (place_.vpc && polled[4].revents != 0) {
            place_.vpc->link.detach();
        } else if (polled[3].revents != 0) {
            receive_from_vpc();
        }
        network_.dispatch(polled);
        send_frames();
        run_tasks();
    }
}

void NetworkHelper::find_qemu_process()
{
    if (qemu_) {
        return;
    }
    if (const auto pid = find_qemu(paths_, id_)) {
        try {
            qemu_.emplace(*pid);
        } catch (const Error&) { // it ended meanwhile
        }
    }
}

// Connected, the socket takes datagrams of QEMU's alone, and poll(2) tells when QEMU has room for more.
void NetworkHelper::connect_to_qemu()
{
    // A QEMU that a guest took over could put a link there, to any socket of the host's that takes datagrams of root.
    const FileDescriptor socket(::open(paths_.qemu_network_socket.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {
    };
    if (!socket || ::fstat(socket.get(), &status) != 0 || status.st_uid != owner_of(paths_.frames)) {
        connected_ = false;
        return;
    }
    const sockaddr_un address = unix_address(fmt::format("/proc/self/fd/{}", socket.get()));
    connected_ = ::connect(frames_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

void NetworkHelper::receive_frames()
{
    std::array<std::uint8_t, 2 * longest_frame> buffer{};
    for (int i = 0; i < frames_a_turn; ++i) {
        const ssize_t size = ::recv(frames_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
        if (size < 0) {
            break;
        }
        if (!connected_) {
            connect_to_qemu();
        }
        if (static_cast<std::size_t>(size) <= longest_frame) {
            network_.input({buffer.data(), static_cast<std::size_t>(size)});
        }
    }
}

// A holder that was killed is started again by the first helper that notices.
void NetworkHelper::look_after_link()
{
    if (!place_.vpc || place_.vpc->link.attached() || steady_clock::now() < link_retry_) {
        return;
    }
    try {
        place_.vpc->link.attach();
        link_failure_.clear();
    } catch (const Error& error) {
        link_failure_ = error.what();
        link_retry_ = steady_clock::now() + link_pause;
    }
}

void NetworkHelper::receive_from_vpc()
{
    place_.vpc->link.receive(frames_a_turn, [this](Frame frame) { queue_frame(frame); });
}

void NetworkHelper::queue_frame(Frame frame)
{
    if (connected_ && outgoing_.size() < most_frames) {
        outgoing_.emplace_back(frame.begin(), frame.end());
    }
}

void NetworkHelper::send_frames()
{
    while (!outgoing_.empty()) {
        const std::vector<std::uint8_t>& frame = outgoing_.front();
        const ssize_t sent = ::send(frames_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
            return;
        }
        if (sent < 0) { // QEMU has gone
            outgoing_.clear();
            connected_ = false;
            return;
        }
        outgoing_.pop_front();
    }
}

void NetworkHelper::run_tasks()
{
    eventfd_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
    for (;;) {
        Task task;
        {
            const std::lock_guard lock(mutex_);
            if (tasks_.empty()) {
                return;
            }
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        task();
    }
}

Json NetworkHelper::on_loop(std::function<Json()> work)
{
    Task task(std::move(work));
    std::future<Json> result = task.get_future();
    {
        const std::lock_guard lock(mutex_);
        if (ended_) {
            throw Error(ErrorKind::launch, fmt::format("the network of {} has ended", id_));
        }
        tasks_.push_back(std::move(task));
    }
    ::eventfd_write(wake_.get(), 1);
    return result.get();
}

void NetworkHelper::serve_control(const std::stop_token& stop)
{
    const std::stop_callback wake_up(stop, [this] { ::shutdown(control_.get(), SHUT_RDWR); });
    while (!stop.stop_requested()) {
        FileDescriptor connection(::accept4(control_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (connection && is_our_user(connection.get())) {
            answer(JsonSocket(std::move(connection), "the supervisor"));
        } else if (!connection) { // no descriptor is free: the guest has them all
            std::this_thread::sleep_for(milliseconds(50));
        }
    }
}

void NetworkHelper::answer(JsonSocket client)
{
    Json answer;
    try {
        answer = result_answer(carry_out(client.receive(in(seconds(5)))));
    } catch (const std::exception& error) {
        answer = error_answer(error);
    }
    try {
        client.send(answer, in(seconds(5)));
    } catch (const Error&) { // the supervisor has gone
    }
}

Json NetworkHelper::carry_out(const Json& request)
{
    const std::string name = string_member(request, "request", "the request");
    if (name == "ping") {
        return {{"instance_id", id_}};
    }
    if (name == "await-network") {
        return on_loop([this] {
            if (place_.vpc && !place_.vpc->link.attached()) {
                throw Error(ErrorKind::launch, link_failure_,
                            "`kiln doctor` tells what this host lacks; --network user needs none of it");
            }
            return Json::object();
        });
    }
    if (name == "forward") {
        const std::uint16_t host_port = port_of(request, "host_port", 0);
        const std::uint16_t guest_port = port_of(request, "guest_port");
        return on_loop([=, this] { return Json{{"port", add_forward(host_port, guest_port)}}; });
    }
    if (name == "remove-forward") {
        const std::uint16_t host_port = port_of(request, "host_port");
        return on_loop([=, this] {
            if (!network_.nat().remove_forward(host_port)) {
                throw Error(ErrorKind::launch, fmt::format("port {} is not forwarded", host_port));
            }
            return Json::object();
        });
    }
    if (name == "connection-states") {
        const std::uint16_t host_port = port_of(request, "host_port");
        const std::uint16_t guest_port = port_of(request, "guest_port");
        return on_loop([=, this] {
            Json states = Json::array();
            for (const SlirpConnection& connection : network_.nat().connections()) {
                if (connection.source_port == host_port && connection.destination_port == guest_port) {
                    states.push_back(connection.state);
                }
            }
            return Json{{"states", states}};
        });
    }
    throw Error(ErrorKind::internal, "the network helper knows no such request");
}

std::uint16_t NetworkHelper::add_forward(std::uint16_t host_port, std::uint16_t guest_port)
{
    for (int attempt = 0; attempt < port_attempts; ++attempt) {
        // Another program can take a free port between our look and libslirp's.
        const std::uint16_t port = host_port != 0 ? host_port : find_free_port();
        if (network_.nat().add_forward(port, guest_port)) {
            return port;
        }
    }
    throw Error(ErrorKind::launch, fmt::format("port {} of the guest can't be reached: {}", guest_port,
                                               host_port != 0 ? fmt::format("port {} of this host is taken", host_port)
                                                              : "no port of this host is free"));
}

int serve_network(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    const Instance instance = load_record(files);
    const FileLock lock(files.folder / "network.lock", FileLock::Wait::fail, id + " has a network helper already");
    // The guest decides how many connections there are, each of which is a descriptor.
    const rlimit descriptors{1024, 1024};
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    NetworkHelper helper(files, instance, place_of(paths, instance));
    write_file_durably(files.network_pid_file, std::to_string(::getpid()) + "\n", 0600);
    helper.run(interrupt_token());
    return 0;
}

} // namespace kiln::launcher
