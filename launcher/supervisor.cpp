// SPDX-License-Identifier: Apache-2.0
#include "launcher/supervisor.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/cgroup.h"
#include "launcher/launch.h"
#include "launcher/life/last_seen.h"
#include "launcher/life/life.h"
#include "launcher/life/life_lock.h"
#include "launcher/life/removal.h"
#include "launcher/life/start.h"
#include "launcher/qemu_start.h"
#include "launcher/snapshot/overlays.h"
#include "launcher/storage/volume_store.h"
#include "launcher/usage/event_line.h"
#include "launcher/vpc/membership.h"
#include "launcher/warm/guest_memory.h"

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

bool is_our_user(int connection)
{
    ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::getuid();
}

} // namespace

Supervisor::Supervisor(const Paths& paths, const std::string& id)
    : home_(paths), paths_(paths, id), instance_(with_volumes(paths, load_record(paths_))),
      network_(instance_, paths_, helper_confinement(home_, instance_.network == "vpc")), agent_(paths_.agent_socket)
{
}

void Supervisor::start()
{
    if (const auto pid = find_qemu(paths_, instance_.id)) {
        qemu_.emplace(*pid);
        if (is_clone_to_be() && instance_.state == InstanceState::pending) { // whose guest it is nobody knows
            static_cast<void>(network_.start());
            give_clone_up("its supervisor was killed while it became a clone");
            launch_qemu();
            return;
        }
        qmp_ = connect_qmp(paths_, *qemu_);
        power_.emplace(*qmp_, agent_, *qemu_);
        power_->ask_about_space();
        append_event(paths_, "adopted", {{"pid", *pid}});
        restore_network(&NetworkProcess::start);
        if (instance_.state == InstanceState::pending) { // the one before was killed in the midst of the start
            add_ssh_forward();
            record_start();
        } else if (instance_.state == InstanceState::stopping) { // the one before was to see it through
            begin_shutdown(shutdown_patience(home_, instance_.accelerator));
        }
        reconcile_overlays(home_, paths_, *qmp_);
        in_background([this] { merge_disks(); });
        if (is_template_to_be()) {
            in_background([this] { release_guest(); });
        }
        // The supervisor before may have died between freeze and thaw.
        std::thread([this] { static_cast<void>(agent_.answers(seconds(5)) && thaw_left_over()); }).detach();
        return;
    }
    if (instance_.state != InstanceState::pending) {
        throw Error(ErrorKind::conflict, fmt::format("{} has stopped", instance_.id));
    }
    launch_qemu();
}

void Supervisor::serve()
{
    const FileDescriptor listener = listen_on(paths_.control_socket);
    space_watch_.emplace(paths_, *qmp_, *power_);
    for (;;) {
        std::array<pollfd, 3> polled{pollfd{listener.get(), POLLIN, 0}, pollfd{qemu_->descriptor(), POLLIN, 0},
                                     pollfd{network_.descriptor(), POLLIN, 0}};
        const auto limit = network_.next_look();
        const auto wait = std::min<milliseconds>(limit.value_or(heartbeat), heartbeat);
        if (::poll(polled.data(), polled.size(), static_cast<int>(wait.count())) < 0 && errno != EINTR) {
            throw system_error(errno, "waiting for requests");
        }
        touch_events(paths_);
        if (polled[1].revents != 0) {
            break;
        }
        if (is_abandoned_template()) {
            to_be_terminated_ = true;
            qemu_->signal(SIGKILL);
        }
        if (polled[2].revents != 0 || limit) {
            restore_network(&NetworkProcess::look_after);
        }
        if ((polled[0].revents & POLLIN) != 0) {
            FileDescriptor connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (connection && is_our_user(connection.get())) {
                in_background([this, fd = std::make_shared<FileDescriptor>(std::move(connection))] {
                    answer_one(std::move(*fd));
                });
            }
        }
    }
    static_cast<void>(qemu_->ended()); // reaps it
    space_watch_.reset();
    std::error_code ignored;
    std::filesystem::remove(paths_.pid_file, ignored);
    for (int i = 0; i < 200 && serving_ > 0; ++i) { // QEMU is gone, so each fails soon
        std::this_thread::sleep_for(milliseconds(20));
    }
    network_.finish(seconds(2)); // it watches QEMU too
    remove_cgroup(instance_.id);
    record_end();
}

void Supervisor::record_failure(const std::exception& error)
{
    update_record(paths_, [&](Instance& instance) {
        if (instance.state != InstanceState::shutting_down) {
            instance.state = InstanceState::stopped;
            instance.state_reason = error.what();
            instance.state_reason_code = "Server.InternalError";
        }
        append_event(paths_, "stopped", {{"code", instance.state_reason_code}, {"reason", error.what()}});
    });
}

void Supervisor::launch_qemu()
{
    std::filesystem::remove(qemu_log(paths_)); // its last words were about another start
    require_sound_volumes(home_, instance_);
    remove_unknown_overlays(own_disks(home_, paths_)); // of one that was killed
    const QemuPlace place = prepare_place(home_, instance_, paths_);
    static_cast<void>(network_.start());
    instance_.confined = place.confined;
    if (is_clone_to_be()) {
        if (launch_clone(place)) {
            record_start();
        } else {
            launch_qemu();
        }
        return;
    }
    try {
        if (is_template_to_be()) {
            memory_ = make_guest_memory(instance_.memory);
        }
        bring_up_qemu(place);
        network_.await_network();
        add_ssh_forward();
        add_forwards();
        in_background([this] { merge_disks(); });
    } catch (const Error&) {
        end_qemu();
        network_.finish(seconds(2));
        throw;
    }
    record_start();
}

void Supervisor::bring_up_qemu(const QemuPlace& place)
{
    qemu_.emplace(start_qemu(instance_, paths_, place, qemu_log(paths_), memory_));
    qmp_ = connect_qmp(paths_, *qemu_);
    power_.emplace(*qmp_, agent_, *qemu_);
}

void Supervisor::record_start()
{
    const bool told = says_it_runs(read_file(paths_.events, longest_log), qemu_->pid());
    Instance started = update_record(paths_, [&](Instance& now) {
        now.ssh_port = instance_.ssh_port;
        now.confined = instance_.confined;
        if (now.state == InstanceState::pending) {
            now.state = InstanceState::running;
            now.started = iso_now();
            now.boot_id = host_boot_id();
        }
        if (!told) { // by one before that was killed right then
            Json detail = bill_of(now);
            detail.update({{"pid", qemu_->pid()},
                           {"ssh_port", now.ssh_port},
                           {"host_boot_id", now.boot_id},
                           {"confined", now.confined}});
            append_event(paths_, "running", detail);
        }
    });
    instance_ = with_volumes(home_, std::move(started));
}

void Supervisor::begin_shutdown(milliseconds patience)
{
    if (patience <= patience.zero()) {
        power_->hurry();
    }
    if (!shutting_down_.exchange(true)) {
        in_background([this, patience] { power_->shut_down(patience); });
    }
}

void Supervisor::restore_network(bool (NetworkProcess::*begin)())
{
    try {
        if ((network_.*begin)()) {
            append_event(paths_, "network-restarted", Json::object());
            const std::lock_guard lock(forwarding_);
            add_ssh_forward();
            keep_ssh_port();
            add_forwards();
        }
    } catch (const Error& error) { // the guest runs on; the helper is looked after again
        fmt::print(stderr, "the network of {}: {}\n", instance_.id, error.what());
    }
}

// On the port of before where that is free.
void Supervisor::add_ssh_forward()
{
    if (!may_forward(home_, instance_, ssh)) { // its network or its security groups
        instance_.ssh_port = 0;
        return;
    }
    try {
        instance_.ssh_port = network_.add_forward(ssh, instance_.ssh_port);
    } catch (const Error&) { // another program has it by now
        instance_.ssh_port = network_.add_forward(ssh);
    }
}

void Supervisor::keep_ssh_port()
{
    update_record(paths_, [this](Instance& now) { now.ssh_port = instance_.ssh_port; });
}

// The user's. One whose port another program has by now stays on the record, for the next start.
void Supervisor::add_forwards()
{
    for (const Forward& forward : load_record(paths_).forwards) {
        try {
            require_forwardable(home_, instance_, forward.guest_port);
            static_cast<void>(network_.add_forward(forward.guest_port, forward.host_port));
        } catch (const Error& error) {
            append_event(paths_, "forward-failed", {{"host_port", forward.host_port}, {"reason", error.what()}});
        }
    }
}

bool Supervisor::thaw_left_over()
{
    try {
        return agent_.thaw(seconds(5)) > 0;
    } catch (const Error&) {
        return false;
    }
}

// What the guest, a command or an accident made of it.
void Supervisor::record_end()
{
    const std::string cause = power_->end_cause();
    const std::string words = tail_in_one_line(read_file(qemu_log(paths_)), 1);
    update_record(paths_, [&](Instance& instance) {
        if (instance.state == InstanceState::shutting_down) { // who terminates it goes on
            append_event(paths_, "stopped",
                         {{"code", instance.state_reason_code}, {"reason", "it is being terminated"}});
            return;
        }
        const bool asked = instance.state == InstanceState::stopping;
        instance.state = InstanceState::stopped;
        if (asked) {
            instance.state_reason =
                power_->forced() ? "stopped by its user; the guest did not shut down by itself" : "stopped by its user";
        } else if (cause == "guest-shutdown") {
            instance.state_reason_code = "Client.InstanceInitiatedShutdown";
            instance.state_reason = "the guest shut down";
            to_be_terminated_ = instance.shutdown_behavior == ShutdownBehavior::terminate;
            instance.state = to_be_terminated_ ? InstanceState::shutting_down : InstanceState::stopped;
        } else {
            instance.state_reason_code = "Server.InternalError";
            instance.state_reason = cause.empty() ? "its QEMU was killed, or it crashed" : "QEMU ended: " + cause;
            if (!words.empty()) {
                instance.state_reason += fmt::format(" ({})", words);
            }
        }
        append_event(paths_, "stopped", {{"code", instance.state_reason_code}, {"reason", instance.state_reason}});
    });
}

int supervise(const Paths& paths, const std::string& id)
{
    if (!is_resource_id("i-", id)) {
        throw Error(ErrorKind::usage, fmt::format("{} is not an instance's id", printable(id, false)));
    }
    const InstancePaths files(paths, id);
    if (!std::filesystem::exists(files.record)) { // the lock would be made anew
        throw Error(ErrorKind::not_found, fmt::format("there is no instance {}", id));
    }
    bool terminate = false;
    {
        const FileLock lock =
            lock_within(files.folder / "supervisor.lock", seconds(1), id + " has a supervisor already", {});
        Supervisor supervisor(paths, id);
        try {
            supervisor.start();
        } catch (const Error& error) {
            if (!find_qemu(files, id) && error.kind() != ErrorKind::conflict) {
                supervisor.record_failure(error);
            }
            throw;
        }
        supervisor.serve();
        terminate = supervisor.to_be_terminated();
    }
    if (terminate) {
        try { // a command that is at work on it sees that there is nothing left to do
            const FileLock lock = lock_within(files.folder / "life.lock", seconds(30), id + " is busy", {});
            bury(paths, id);
        } catch (const Error& error) {
            fmt::print(stderr, "{} could not be terminated: {}\n", id, error.what());
        }
    }
    return 0;
}

} // namespace kiln::launcher
