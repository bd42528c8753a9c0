// SPDX-License-Identifier: Apache-2.0
// `kiln supervise ID`: one process an instance. It starts QEMU and the network helper or adopts those that run, owns
// QEMU's QMP and guest agent sockets, serves the control socket, and ends when QEMU has ended. Its own death does not
// touch the guest or its network.
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/qmp_client.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/disk_copy.h"
#include "launcher/guest_agent.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"
#include "launcher/network/network_process.h"
#include "launcher/qemu_command.h"
#include "launcher/qemu_process.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint16_t ssh = 22;
constexpr mode_t socket_mask = 0177; // what QEMU makes is for this user alone

std::string qemu_log(const InstancePaths& paths)
{
    return paths.folder / "qemu.log";
}

// Connects to QMP as soon as QEMU listens. Throws Error{launch} with QEMU's last words when it ends first.
std::unique_ptr<QmpClient> connect_qmp(const InstancePaths& paths, const WatchedProcess& qemu)
{
    const Deadline deadline = in(seconds(30));
    for (;;) {
        try {
            return std::make_unique<QmpClient>(JsonSocket::connect(paths.qmp_socket, "QEMU"));
        } catch (const Error& error) {
            if (qemu.wait(milliseconds(10))) {
                const std::string words = tail_in_one_line(read_file(qemu_log(paths)), 3);
                throw Error(ErrorKind::launch, fmt::format("QEMU ended at once: {}", words));
            }
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
        }
    }
}

class Supervisor
{
public:
    Supervisor(const Paths& paths, const std::string& id)
        : paths_(paths, id), instance_(load_record(paths_)), network_(instance_, paths_), agent_(paths_.agent_socket)
    {
    }

    void start()
    {
        if (const auto pid = find_qemu(paths_, instance_.id)) {
            qemu_.emplace(*pid);
            qmp_ = connect_qmp(paths_, *qemu_);
            append_event(paths_, "adopted", {{"pid", *pid}});
            restore_network(&NetworkProcess::start);
            // The supervisor before may have died between freeze and thaw.
            std::thread([this] { static_cast<void>(agent_.answers(seconds(5)) && thaw_left_over()); }).detach();
            return;
        }
        if (instance_.state != InstanceState::pending) {
            throw Error(ErrorKind::launch, fmt::format("{} has stopped", instance_.id));
        }
        launch_qemu();
    }

    // Serves until QEMU has ended.
    void serve()
    {
        const FileDescriptor listener = listen_on(paths_.control_socket);
        for (;;) {
            std::array<pollfd, 3> polled{pollfd{listener.get(), POLLIN, 0}, pollfd{qemu_->descriptor(), POLLIN, 0},
                                         pollfd{network_.descriptor(), POLLIN, 0}};
            const auto limit = network_.next_look();
            if (::poll(polled.data(), polled.size(), limit ? static_cast<int>(limit->count()) : -1) < 0 &&
                errno != EINTR) {
                throw system_error(errno, "waiting for requests");
            }
            if (polled[1].revents != 0) {
                break;
            }
            if (polled[2].revents != 0 || limit) {
                restore_network(&NetworkProcess::look_after);
            }
            if ((polled[0].revents & POLLIN) != 0) {
                FileDescriptor connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
                if (connection && is_our_user(connection.get())) {
                    ++serving_;
                    std::thread([this, fd = std::move(connection)]() mutable {
                        answer_one(std::move(fd));
                        --serving_;
                    }).detach();
                }
            }
        }
        static_cast<void>(qemu_->ended());              // reaps it
        for (int i = 0; i < 200 && serving_ > 0; ++i) { // QEMU is gone, so each fails soon
            std::this_thread::sleep_for(milliseconds(20));
        }
        network_.finish(seconds(2)); // it watches QEMU too
        record_end();
    }

    void record_failure(const std::exception& error)
    {
        instance_.state = InstanceState::stopped;
        instance_.state_reason = error.what();
        save_record(paths_, instance_);
    }

private:
    static bool is_our_user(int connection)
    {
        ucred peer{};
        socklen_t length = sizeof peer;
        return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::getuid();
    }

    void launch_qemu()
    {
        static_cast<void>(network_.start());
        qemu_.emplace(start_detached(qemu_argv(instance_, paths_), qemu_log(paths_), socket_mask));
        try {
            qmp_ = connect_qmp(paths_, *qemu_);
            instance_.ssh_port = network_.add_forward(ssh);
        } catch (const Error&) {
            qemu_->signal(SIGKILL);
            static_cast<void>(qemu_->wait(seconds(10)));
            network_.finish(seconds(2));
            throw;
        }
        instance_.state = InstanceState::running;
        save_record(paths_, instance_);
        append_event(paths_, "running", {{"pid", qemu_->pid()}, {"ssh_port", instance_.ssh_port}});
    }

    // `begin` tells whether the helper is a new one, which has no forwards yet.
    void restore_network(bool (NetworkProcess::*begin)())
    {
        try {
            if ((network_.*begin)()) {
                append_event(paths_, "network-restarted", Json::object());
                restore_ssh_forward();
            }
        } catch (const Error& error) { // the guest runs on; the helper is looked after again
            fmt::print(stderr, "the network of {}: {}\n", instance_.id, error.what());
        }
    }

    void restore_ssh_forward()
    {
        try {
            static_cast<void>(network_.add_forward(ssh, instance_.ssh_port));
        } catch (const Error&) { // another program has the port by now
            instance_.ssh_port = network_.add_forward(ssh);
            Instance now = load_record(paths_);
            now.ssh_port = instance_.ssh_port;
            save_record(paths_, now);
        }
    }

    bool thaw_left_over()
    {
        try {
            return agent_.thaw(seconds(5)) > 0;
        } catch (const Error&) {
            return false;
        }
    }

    void record_end()
    {
        Instance now = load_record(paths_);
        const bool asked = now.state == InstanceState::shutting_down;
        now.state = InstanceState::stopped;
        const std::string words = tail_in_one_line(read_file(qemu_log(paths_)), 1);
        now.state_reason = asked ? "" : words.empty() ? "the guest shut down" : "QEMU ended: " + words;
        save_record(paths_, now);
        append_event(paths_, "stopped", {{"reason", now.state_reason}});
    }

    void answer_one(FileDescriptor fd)
    {
        JsonSocket client(std::move(fd), "the client");
        Json answer;
        std::optional<std::uint16_t> forward; // lasts until the client goes
        try {
            const Json request = client.receive(in(seconds(10)));
            if (string_member(request, "request", "the request") == "forward") {
                forward = network_.add_forward(port_of(request, "port"));
                answer = result_answer({{"port", *forward}});
            } else {
                answer = result_answer(carry_out(request, client));
            }
        } catch (const std::exception& error) {
            answer = error_answer(error);
        }
        try {
            client.send(answer, in(seconds(60)));
            while (forward && !client.closed() && !qemu_->ended()) {
                std::this_thread::sleep_for(milliseconds(50));
            }
        } catch (const Error&) { // the client has gone
        }
        try {
            if (forward) {
                network_.remove_forward(*forward);
            }
        } catch (const Error&) { // QEMU has gone
        }
    }

    static std::uint16_t port_of(const Json& request, std::string_view key)
    {
        const std::int64_t port = integer_member(request, key, "the request");
        if (port < 1 || port > 65535) {
            throw Error(ErrorKind::usage, fmt::format("{} is no TCP port", port));
        }
        return static_cast<std::uint16_t>(port);
    }

    Json carry_out(const Json& request, const JsonSocket& client)
    {
        const std::string name = string_member(request, "request", "the request");
        const auto cancelled = [&client, this] { return client.closed() || qemu_->ended(); };
        if (name == "ping") {
            return {{"instance_id", instance_.id}};
        }
        if (name == "ping-guest") {
            return {{"answers", agent_.answers(milliseconds(integer_member(request, "limit_ms", "the request")))}};
        }
        if (name == "exec") {
            const ExecResult result =
                agent_.exec(member(request, "argv", "the request").get<std::vector<std::string>>(),
                            signing::parse_base64(string_member(request, "input", "the request")).value_or(""),
                            seconds(integer_member(request, "timeout_seconds", "the request")), cancelled);
            return {{"status", result.status},
                    {"output", signing::base64(result.output)},
                    {"errors", signing::base64(result.errors)},
                    {"truncated", result.truncated}};
        }
        if (name == "connection-states") {
            return {
                {"states", network_.connection_states(port_of(request, "host_port"), port_of(request, "guest_port"))}};
        }
        if (name == "copy-disks") {
            return copy(string_member(request, "into", "the request"), cancelled);
        }
        throw Error(ErrorKind::internal, fmt::format("the supervisor knows no request {}", printable(name, false)));
    }

    Json copy(const std::filesystem::path& into, const std::function<bool()>& cancelled)
    {
        const std::unique_lock one_at_a_time(copying_, std::try_to_lock);
        if (!one_at_a_time) {
            throw Error(ErrorKind::conflict, fmt::format("another snapshot of {} is under way", instance_.id),
                        "wait until it is done");
        }
        const DiskCopies copies = copy_running_disks(instance_, into, *qmp_, agent_, cancelled);
        Json disks = Json::array();
        for (const CopiedDisk& disk : copies.disks) {
            disks.push_back({{"device", disk.disk.device}, {"delta", disk.delta.native()}});
        }
        append_event(paths_, "copied", {{"consistency", copies.consistency}, {"frozen_ms", copies.frozen_for.count()}});
        return {{"disks", disks},
                {"consistency", copies.consistency},
                {"consistency_reason", copies.consistency_reason},
                {"frozen_ms", copies.frozen_for.count()}};
    }

    InstancePaths paths_;
    Instance instance_;
    NetworkProcess network_;
    GuestAgent agent_;
    std::optional<WatchedProcess> qemu_;
    std::unique_ptr<QmpClient> qmp_;
    std::mutex copying_;
    std::atomic<int> serving_ = 0;
};

} // namespace

int supervise(const Paths& paths, const std::string& id)
{
    if (!is_resource_id("i-", id)) {
        throw Error(ErrorKind::usage, fmt::format("{} is not an instance's id", printable(id, false)));
    }
    const InstancePaths files(paths, id);
    const FileLock lock(files.folder / "supervisor.lock", FileLock::Wait::fail, id + " has a supervisor already");
    Supervisor supervisor(paths, id);
    try {
        supervisor.start();
    } catch (const Error& error) {
        if (!find_qemu(files, id)) {
            supervisor.record_failure(error);
        }
        throw;
    }
    supervisor.serve();
    return 0;
}

} // namespace kiln::launcher
