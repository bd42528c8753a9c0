// SPDX-License-Identifier: Apache-2.0
// What a supervisor does for an instance that becomes a template: it has the guest stand still, saves the machine, and
// lets it go on as what it was. Whoever makes the template has its folder locked; an instance without that is ended.
#include "core/error.h"
#include "core/machine_state.h"
#include "core/packed_image.h"
#include "launcher/storage/volume_store.h"
#include "launcher/supervisor.h"
#include "launcher/warm/clone_disks.h"
#include "launcher/warm/clone_identity.h"
#include "launcher/warm/template_making.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr seconds answer_limit{30};
constexpr seconds freeze_limit{120};
constexpr seconds save_limit{300};

JsonSocket connect_to_agent(const InstancePaths& paths)
{
    return JsonSocket::connect(paths.clone_socket, "kiln-clone-agent");
}

void send(JsonSocket& agent, const CloneMessage& message)
{
    agent.send_bytes(encode(message), in(answer_limit));
}

// A template has the disks of its launch, and an overlay for each.
void require_disks_of_launch(const Instance& now)
{
    const bool snapshot = std::ranges::any_of(now.disks, [](const InstanceDisk& disk) { return !disk.lower.empty(); });
    if (snapshot || !now.volumes.empty()) {
        throw Error(ErrorKind::conflict,
                    fmt::format("a snapshot of {} was taken meanwhile, or a volume attached", now.id));
    }
}

} // namespace

bool Supervisor::is_template_to_be() const noexcept
{
    return instance_.warm && instance_.warm->start == WarmLaunch::Start::making_template;
}

bool Supervisor::is_abandoned_template() const
{
    return is_template_to_be() && is_abandoned_folder(instance_.warm->folder);
}

Json Supervisor::save_template()
{
    if (!is_template_to_be()) {
        throw Error(ErrorKind::conflict, fmt::format("{} is not to become a template", instance_.id));
    }
    if (!memory_) {
        throw Error(ErrorKind::launch, "the supervisor that has its memory was killed", "make the template anew");
    }
    const auto one_at_a_time = hold_disks(seconds(60)); // no snapshot, and no volume
    require_disks_of_launch(with_volumes(home_, load_record(paths_)));
    JsonSocket agent = connect_to_agent(paths_);
    const AgentReady ready = freeze_guest(agent);
    const auto begun = Clock::now();
    std::exception_ptr failure;
    try {
        save_machine();
    } catch (...) {
        failure = std::current_exception();
    }
    let_guest_go_on(agent);
    if (failure) {
        std::rethrow_exception(failure);
    }
    const auto stood_still = std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
    append_event(paths_, "template-saved", {{"stood_still_ms", stood_still.count()}});
    return {{"host_key_types", ready.host_key_types}, {"cloud_init", ready.cloud_init}};
}

AgentReady Supervisor::freeze_guest(JsonSocket& agent)
{
    const ExecResult started = agent_.exec({clone_agent_path}, {}, seconds(60), [this] { return qemu_->ended(); });
    if (started.status != 0) {
        throw Error(ErrorKind::launch,
                    fmt::format("kiln-clone-agent did not start in the guest: status {}", started.status));
    }
    AgentReady ready = parse_ready(agent.receive_line(in(answer_limit)));
    send(agent, {{"freeze", ""}});
    try {
        parse_frozen(agent.receive_line(in(freeze_limit)));
    } catch (const Error&) {
        send(agent, thaw_message(std::chrono::system_clock::now())); // should it freeze later than that
        throw;
    }
    return ready;
}

// All of one moment: QEMU has stopped the machine for good, and has let go of its disks, when its state is saved.
void Supervisor::save_machine()
{
    const std::filesystem::path& folder = instance_.warm->folder;
    try {
        save_machine_state(*qmp_, folder / template_state_file, save_limit);
        pack_image(memory_.get(), instance_.memory, folder / packed_name(template_memory_file));
        for (std::size_t i = 0; i < instance_.disks.size(); ++i) {
            copy_disk(instance_.disks[i].overlay, folder / template_disk_file(i));
        }
    } catch (...) { // perhaps for want of the space that they take
        std::error_code ignored;
        for (const std::filesystem::directory_entry& file : std::filesystem::directory_iterator(folder, ignored)) {
            std::filesystem::remove(file, ignored);
        }
        throw;
    }
}

void Supervisor::let_guest_go_on(JsonSocket& agent)
{
    qmp_->execute("cont");
    send(agent, thaw_message(std::chrono::system_clock::now()));
    parse_thawed(agent.receive_line(in(answer_limit)));
}

void Supervisor::release_guest() noexcept
{
    try {
        JsonSocket agent = connect_to_agent(paths_);
        let_guest_go_on(agent);
    } catch (const std::exception&) { // it does not stand still: nobody is there to answer
    }
}

} // namespace kiln::launcher
