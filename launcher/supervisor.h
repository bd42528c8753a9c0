// SPDX-License-Identifier: Apache-2.0
// Internal: the process behind `kiln-supervisor supervise ID`, one an instance. It starts QEMU and the network helper
// or adopts those that run, owns QEMU's QMP and guest agent sockets, serves the control socket, and ends when QEMU has
// ended. Its own death does not touch the guest or its network.
#pragma once

#include "core/json_socket.h"
#include "core/qmp_client.h"
#include "launcher/guest_agent.h"
#include "launcher/instance_store.h"
#include "launcher/life/power.h"
#include "launcher/life/space_watch.h"
#include "launcher/network/network_process.h"
#include "launcher/qemu_process.h"
#include "launcher/qemu_start.h"
#include "launcher/warm/clone_identity.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace kiln::launcher
{

class Supervisor
{
public:
    Supervisor(const Paths& paths, const std::string& id);

    // Starts QEMU, or adopts the one that runs. Throws Error{conflict} when there is none and none is to be started.
    void start();
    // Serves until QEMU has ended, and writes down how it did.
    void serve();
    // That start() threw `error`.
    void record_failure(const std::exception& error);
    // Whether the instance is to be terminated now that it has ended.
    [[nodiscard]] bool to_be_terminated() const noexcept { return to_be_terminated_; }

private:
    void launch_qemu();
    // QEMU and its monitor, with memory_ where it has its own. Throws Error{launch, missing_tool}.
    void bring_up_qemu(const QemuPlace& place);
    void end_qemu();
    void record_start();
    void record_end();
    void begin_shutdown(std::chrono::milliseconds patience);
    // `begin` tells whether the helper is a new one, which has no forwards yet.
    void restore_network(bool (NetworkProcess::*begin)());
    void add_ssh_forward();
    void keep_ssh_port();
    void add_forwards();
    bool thaw_left_over();

    template <typename Work> void in_background(Work work)
    {
        ++serving_;
        std::thread([this, work = std::move(work)] {
            work();
            --serving_;
        }).detach();
    }

    // supervisor_warm.cpp
    [[nodiscard]] bool is_clone_to_be() const noexcept;
    // False when it did not become one, and is to start cold; then it says so in its record.
    [[nodiscard]] bool launch_clone(const QemuPlace& place);
    [[nodiscard]] CloneWord wake_clone(const QemuPlace& place, const VerifiedTemplate& verified);
    void give_clone_up(const std::string& reason);
    void set_guest_clock();

    // supervisor_template.cpp
    [[nodiscard]] bool is_template_to_be() const noexcept;
    // Who makes a template of the instance was killed: nobody else ends it.
    [[nodiscard]] bool is_abandoned_template() const;
    // The guest goes on also when that fails.
    [[nodiscard]] Json save_template();
    [[nodiscard]] AgentReady freeze_guest(JsonSocket& agent);
    void save_machine();
    void let_guest_go_on(JsonSocket& agent);
    // The same where a supervisor before may have been killed while the guest stood still.
    void release_guest() noexcept;

    // supervisor_requests.cpp
    struct Held { // by a client, until it goes
        std::optional<std::uint16_t> forward;
        bool disks = false; // the overlays of a snapshot
    };
    void answer_one(FileDescriptor fd);
    void answer_request(JsonSocket& client, Held& held);
    [[nodiscard]] Json carry_out(const std::string& name, const Json& request, const std::function<bool()>& cancelled);
    [[nodiscard]] Json shut_down(std::chrono::seconds patience);
    [[nodiscard]] Json exec(const Json& request, const std::function<bool()>& cancelled);
    // To change the disks' overlays, or which disks there are. Throws Error{conflict} after `patience`.
    [[nodiscard]] std::unique_lock<std::timed_mutex> hold_disks(std::chrono::seconds patience);
    void freeze_disks(const Json& request, const std::function<bool()>& cancelled,
                      const std::function<void(const Json&)>& answer);
    void merge_disks() noexcept;
    [[nodiscard]] Json guest_file(const Json& request);
    [[nodiscard]] Json screenshot();
    [[nodiscard]] Json add_port(std::uint16_t guest_port, std::uint16_t host_port);
    [[nodiscard]] Json remove_port(std::uint16_t host_port);
    [[nodiscard]] Json apply_security_groups();
    // storage/volume_requests.cpp
    [[nodiscard]] Json change_volume(const Json& request, const std::function<bool()>& cancelled);

    Paths home_;
    InstancePaths paths_;
    Instance instance_;
    NetworkProcess network_;
    GuestAgent agent_;
    std::optional<WatchedProcess> qemu_;
    FileDescriptor memory_; // of a clone or a template, while this supervisor is the one that started its QEMU
    std::unique_ptr<QmpClient> qmp_;
    std::optional<Power> power_;
    std::atomic<bool> shutting_down_ = false;
    bool to_be_terminated_ = false;
    std::timed_mutex changing_disks_;
    std::atomic<int> waiting_for_disks_ = 0; // a merge makes way
    std::mutex forwarding_;                  // ssh_port, and what is forwarded
    std::atomic<int> serving_ = 0;
    std::optional<SpaceWatch> space_watch_; // last: it uses others
};

} // namespace kiln::launcher
