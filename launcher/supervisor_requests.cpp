// SPDX-License-Identifier: Apache-2.0
// What commands ask of a supervisor, each in a thread of its own.
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/block_node.h"
#include "launcher/control.h"
#include "launcher/snapshot/point_in_time.h"
#include "launcher/supervisor.h"
#include "launcher/vpc/membership.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view what = "the request";
constexpr std::uint16_t ssh_port = 22;
constexpr off_t largest_png = off_t{64} << 20U;
constexpr seconds send_limit{60};
constexpr seconds freeze_patience{120};
constexpr ByteSize merge_speed = mebibytes(128); // of bytes a second; the guest has the rest of the disk's

std::uint16_t port_of(const Json& request, std::string_view key, std::int64_t lowest = 1)
{
    const std::int64_t port = integer_member(request, key, what);
    if (port < lowest || port > 65535) {
        throw Error(ErrorKind::usage, fmt::format("{} is no TCP port", port));
    }
    return static_cast<std::uint16_t>(port);
}

seconds patience_of(const Json& request)
{
    return seconds(integer_member(request, "patience_seconds", what));
}

Json to_json(const Consistency& consistency)
{
    return {{"consistency", consistency.kind},
            {"reason", consistency.reason},
            {"frozen_us", consistency.frozen_for.count()}};
}

Json to_json(const std::vector<FrozenOverlays>& disks)
{
    Json json = Json::array();
    for (const FrozenOverlays& disk : disks) {
        Json files = Json::array();
        for (const std::filesystem::path& file : disk.overlays) {
            files.push_back(file.native());
        }
        json.push_back({{"device", disk.device}, {"size", disk.size.bytes()}, {"overlays", std::move(files)}});
    }
    return json;
}

} // namespace

void Supervisor::answer_one(FileDescriptor fd)
{
    JsonSocket client(std::move(fd), "the client");
    Held held;
    try {
        answer_request(client, held);
        while ((held.forward || held.disks) && !client.closed() && !qemu_->ended()) {
            std::this_thread::sleep_for(milliseconds(50));
        }
    } catch (const Error&) { // the client has gone
    }
    try {
        if (held.forward) {
            network_.remove_forward(*held.forward);
        }
    } catch (const Error&) { // QEMU has gone
    }
    if (held.disks) {
        merge_disks();
    }
}

void Supervisor::answer_request(JsonSocket& client, Held& held)
{
    const auto cancelled = [&client, this] { return client.closed() || qemu_->ended(); };
    const auto answer = [&client](const Json& result) { client.send(result_answer(result), in(send_limit)); };
    try {
        const Json request = client.receive(in(seconds(10)));
        const std::string name = string_member(request, "request", what);
        if (name == "forward") {
            const std::uint16_t guest_port = port_of(request, "port");
            require_forwardable(home_, instance_, guest_port);
            held.forward = network_.add_forward(guest_port);
            answer({{"port", *held.forward}});
        } else if (name == "freeze-disks") {
            freeze_disks(request, cancelled, [&](const Json& frozen) {
                held.disks = true;
                answer(frozen);
            });
        } else {
            answer(carry_out(name, request, cancelled));
        }
    } catch (const std::exception& error) {
        client.send(error_answer(error), in(send_limit));
    }
}

Json Supervisor::shut_down(seconds patience)
{
    update_record(paths_, [&](Instance& instance) {
        if (instance.state == InstanceState::running) { // else it is being terminated
            instance.state = InstanceState::stopping;
            instance.state_reason.clear();
            instance.state_reason_code = "Client.UserInitiatedShutdown";
        }
        append_event(paths_, name_of(instance.state), {{"patience_seconds", patience.count()}});
    });
    begin_shutdown(patience);
    return Json::object();
}

Json Supervisor::carry_out(const std::string& name, const Json& request, const std::function<bool()>& cancelled)
{
    if (name == "ping") {
        return {{"instance_id", instance_.id}};
    }
    if (name == "ping-guest") {
        return {{"answers", agent_.answers(milliseconds(integer_member(request, "limit_ms", what)))}};
    }
    if (name == "shut-down") {
        return shut_down(patience_of(request));
    }
    if (name == "reboot") {
        const bool by_itself = power_->reboot(patience_of(request), cancelled);
        append_event(paths_, "rebooted", {{"by_itself", by_itself}});
        return {{"by_itself", by_itself}};
    }
    if (name == "exec") {
        return exec(request, cancelled);
    }
    if (name == "guest-file") {
        return guest_file(request);
    }
    if (name == "screenshot") {
        return screenshot();
    }
    if (name == "add-port") {
        return add_port(port_of(request, "guest_port"), port_of(request, "host_port", 0));
    }
    if (name == "remove-port") {
        return remove_port(port_of(request, "host_port"));
    }
    if (name == "apply-security-groups") {
        return apply_security_groups();
    }
    if (name == "connection-states") {
        return {{"states", network_.connection_states(port_of(request, "host_port"), port_of(request, "guest_port"))}};
    }
    if (name == "volume") {
        return change_volume(request, cancelled);
    }
    if (name == "merge-disks") {
        merge_disks();
        return Json::object();
    }
    if (name == "save-template") {
        return save_template();
    }
    throw Error(ErrorKind::internal, fmt::format("the supervisor knows no request {}", printable(name, false)));
}

Json Supervisor::exec(const Json& request, const std::function<bool()>& cancelled)
{
    const ExecResult result = agent_.exec(member(request, "argv", what).get<std::vector<std::string>>(),
                                          signing::parse_base64(string_member(request, "input", what)).value_or(""),
                                          seconds(integer_member(request, "timeout_seconds", what)), cancelled);
    return {{"status", result.status},
            {"output", signing::base64(result.output)},
            {"errors", signing::base64(result.errors)},
            {"truncated", result.truncated}};
}

// The agent's own commands for files and no others.
Json Supervisor::guest_file(const Json& request)
{
    constexpr std::array<std::string_view, 4> allowed{"guest-file-open", "guest-file-read", "guest-file-write",
                                                      "guest-file-close"};
    const std::string command = string_member(request, "command", what);
    if (std::ranges::find(allowed, command) == allowed.end()) {
        throw Error(ErrorKind::internal, fmt::format("{} is about no file", printable(command, false)));
    }
    return agent_.execute(command, member(request, "arguments", what), seconds(60));
}

Json Supervisor::screenshot()
{
    const FileDescriptor file(::memfd_create("screen", MFD_CLOEXEC));
    const FileDescriptor writable(::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_WRONLY | O_CLOEXEC));
    if (!writable) {
        throw system_error(errno, "making room for a screenshot");
    }
    const PassedDescriptor passed(*qmp_, writable.get());
    qmp_->execute("screendump", {{"filename", passed.name()}, {"format", "png"}});
    const off_t size = std::clamp<off_t>(::lseek(file.get(), 0, SEEK_END), 0, largest_png);
    return {{"png", signing::base64(read_at(file.get(), 0, static_cast<std::size_t>(size), "reading the screenshot"))}};
}

Json Supervisor::add_port(std::uint16_t guest_port, std::uint16_t host_port)
{
    require_forwardable(home_, instance_, guest_port);
    const Forward forward{.host_port = network_.add_forward(guest_port, host_port), .guest_port = guest_port};
    update_record(paths_, [&](Instance& now) { now.forwards.push_back(forward); });
    return {{"host_port", forward.host_port}};
}

Json Supervisor::remove_port(std::uint16_t host_port)
{
    try {
        network_.remove_forward(host_port);
    } catch (const Error&) { // it could not be added at this start
    }
    return Json::object();
}

// What is forwarded and may not be any more ends, what may be again begins. Open connections stay, as on EC2.
Json Supervisor::apply_security_groups()
{
    const std::lock_guard lock(forwarding_);
    const std::uint16_t before = instance_.ssh_port;
    if (before == 0) {
        add_ssh_forward();
    } else if (!may_forward(home_, instance_, ssh_port)) {
        static_cast<void>(remove_port(before));
        instance_.ssh_port = 0;
    }
    if (instance_.ssh_port != before) {
        keep_ssh_port();
    }
    for (const Forward& forward : load_record(paths_).forwards) {
        if (!may_forward(home_, instance_, forward.guest_port)) {
            static_cast<void>(remove_port(forward.host_port));
            continue;
        }
        try {
            static_cast<void>(network_.add_forward(forward.guest_port, forward.host_port));
        } catch (const Error&) { // it is there
        }
    }
    return Json::object();
}

std::unique_lock<std::timed_mutex> Supervisor::hold_disks(seconds patience)
{
    ++waiting_for_disks_;
    std::unique_lock lock(changing_disks_, patience);
    --waiting_for_disks_;
    if (!lock) {
        throw Error(ErrorKind::conflict,
                    fmt::format("the disks of {} are being changed by another command", instance_.id), "try again");
    }
    return lock;
}

// Only the disks that the client has a reader's lock of: none of its own, and volumes that it names.
void Supervisor::freeze_disks(const Json& request, const std::function<bool()>& cancelled,
                              const std::function<void(const Json&)>& answer)
{
    const bool freeze = bool_member(request, "freeze", what);
    const auto ids = member(request, "volumes", what).get<std::vector<std::string>>();
    const auto one_at_a_time = hold_disks(freeze_patience);
    std::vector<OwnDisk> disks = own_disks(home_, paths_);
    std::erase_if(disks, [&](const OwnDisk& own) {
        return !own.disk.volume_id.empty() && std::ranges::find(ids, own.disk.volume_id) == ids.end();
    });
    take_point_in_time(home_, paths_, std::move(disks), *qmp_, agent_, freeze, cancelled,
                       [&](const PointInTime& taken) {
                           Json frozen = to_json(taken.consistency);
                           append_event(paths_, "disks-frozen", frozen);
                           frozen["disks"] = to_json(taken.disks);
                           answer(frozen);
                       });
}

// As soon as nobody reads the lower overlays; one that fails is tried again after the next snapshot or start.
void Supervisor::merge_disks() noexcept
{
    const auto make_way = [this] { return qemu_->ended() || waiting_for_disks_ > 0; };
    try {
        while (!qemu_->ended()) {
            if (waiting_for_disks_ == 0) {
                const std::lock_guard one_at_a_time(changing_disks_);
                if (merge_overlays(home_, paths_, *qmp_, merge_speed, make_way)) {
                    return;
                }
            }
            std::this_thread::sleep_for(milliseconds(200));
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "the disks of {}: {}\n", instance_.id, error.what());
    }
}

} // namespace kiln::launcher
