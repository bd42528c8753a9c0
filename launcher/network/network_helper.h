// SPDX-License-Identifier: Apache-2.0
// Internal: the process between an instance's network card and the host, `kiln-supervisor serve-network ID`: it moves
// frames between QEMU's datagram socket and a GuestNetwork, serves the instance's metadata, and answers the supervisor
// on a control socket. It is the only process that reads what the guest sends into the network, and knows nothing but
// its instance.
#pragma once

#include "core/json_socket.h"
#include "launcher/instance.h"
#include "launcher/metadata/metadata_server.h"
#include "launcher/metadata/metadata_service.h"
#include "launcher/network/guest_network.h"
#include "launcher/qemu_process.h"
#include "launcher/vpc/vpc.h"
#include "launcher/vpc/vpc_link.h"

#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <stop_token>
#include <thread>

namespace kiln::launcher
{

// The control socket's requests, a JSON object each, and their results:
//   {"request": "ping"}                                                  -> {"instance_id": "i-..."}
//   {"request": "forward", "guest_port": 22, "host_port": 0}             -> {"port": 40123}; 0 chooses a free one
//   {"request": "remove-forward", "host_port": 40123}                    -> {}
//   {"request": "await-network"}                                         -> {}; in a VPC when its card is connected
//   {"request": "connection-states", "host_port": 1, "guest_port": 22}   -> {"states": ["ESTABLISHED"]}
struct VpcAttachment {
    Vpc vpc;
    VpcLink link;
};

struct NetworkPlace {
    std::optional<VpcAttachment> vpc{};         // where the instance is in one
    std::vector<std::string> security_groups{}; // names
};

class NetworkHelper
{
public:
    // Binds the three sockets, each with mode 0600. Throws Error{io, launch}.
    NetworkHelper(const InstancePaths& paths, const Instance& instance, NetworkPlace place = {});
    ~NetworkHelper();
    NetworkHelper(const NetworkHelper&) = delete;
    NetworkHelper& operator=(const NetworkHelper&) = delete;

    // Serves until the instance's QEMU has ended, or did not come within `patience`, or a stop.
    void run(const std::stop_token& stop, std::chrono::seconds patience = std::chrono::seconds(60));

private:
    using Task = std::packaged_task<Json()>;

    void serve_control(const std::stop_token& stop);
    void answer(JsonSocket client);
    [[nodiscard]] Json carry_out(const Json& request);
    [[nodiscard]] Json on_loop(std::function<Json()> work);
    void run_tasks();
    [[nodiscard]] std::uint16_t add_forward(std::uint16_t host_port, std::uint16_t guest_port);
    void find_qemu_process();
    void connect_to_qemu();
    void receive_frames();
    void queue_frame(Frame frame);
    void send_frames();
    void look_after_link();
    void receive_from_vpc();

    InstancePaths paths_;
    std::string id_;
    FileDescriptor frames_; // datagrams from and to QEMU's socket
    bool connected_ = false;
    std::deque<std::vector<std::uint8_t>> outgoing_;
    std::optional<WatchedProcess> qemu_;
    NetworkPlace place_;
    std::string link_failure_; // why it is not attached
    std::chrono::steady_clock::time_point link_retry_{};
    MetadataService metadata_;
    MetadataServer metadata_server_;
    GuestNetwork network_;
    FileDescriptor wake_; // eventfd: there are tasks
    std::mutex mutex_;
    std::deque<Task> tasks_;
    bool ended_ = false; // nobody runs tasks any more
    FileDescriptor control_;
    std::jthread control_thread_; // last: it uses the others
};

} // namespace kiln::launcher
