// SPDX-License-Identifier: Apache-2.0
// What a supervisor does for a clone: it brings a template's state into it and gives it its identity. Whatever fails on
// the way leads to a cold start.
#include "core/error.h"
#include "core/files.h"
#include "core/machine_state.h"
#include "core/packed_image.h"
#include "core/random.h"
#include "launcher/storage/volume_store.h"
#include "launcher/supervisor.h"
#include "launcher/warm/clone_disks.h"
#include "launcher/warm/clone_identity.h"
#include "launcher/warm/template_memory.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t seed_size = 64;
constexpr seconds load_limit{20};
constexpr seconds answer_limit{30}; // under the limit for a start
constexpr milliseconds worst_clock_lag{500};

std::string fresh_seed()
{
    const std::string hex = random_hex(2 * seed_size);
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return bytes;
}

// In memory, and at its beginning.
FileDescriptor unpack_state(const VerifiedTemplate& verified)
{
    const ByteSize size = verified.size_of(template_state_file);
    FileDescriptor state(::memfd_create("kiln-machine-state", MFD_CLOEXEC));
    if (!state || ::ftruncate(state.get(), static_cast<off_t>(size.bytes())) != 0) {
        throw system_error(errno, "making room for a machine's state");
    }
    unpack_image(verified.open(template_state_file).get(), state.get(), size, "the template's state");
    return state;
}

} // namespace

bool Supervisor::is_clone_to_be() const noexcept
{
    return instance_.warm && instance_.warm->start == WarmLaunch::Start::clone;
}

CloneWord Supervisor::wake_clone(const QemuPlace& place, const VerifiedTemplate& verified)
{
    const WarmTemplate& one = verified.get();
    const CloneIdentity identity = identity_of(instance_, home_, one);
    auto keys = make_host_keys(one.host_key_types, paths_.run / "host-keys", identity.host_name);
    const FileDescriptor state = unpack_state(verified);
    memory_ = share_template_memory(home_, verified.name_of(template_memory_file), verified.open(template_memory_file),
                                    instance_.memory);
    bring_up_qemu(place);
    load_machine_state(*qmp_, state);
    wait_until_loaded(*qmp_, load_limit);
    network_.await_network();
    JsonSocket agent = JsonSocket::connect(paths_.clone_socket, "kiln-clone-agent");
    const std::vector<HostKey> host_keys = keys.get();
    agent.send_bytes(
        encode(identity_message(instance_, one, identity, host_keys, fresh_seed(), std::chrono::system_clock::now())),
        in(answer_limit));
    qmp_->execute("cont");
    const std::string line = agent.receive_line(in(answer_limit));
    return parse_done(line, identity, std::chrono::system_clock::now());
}

bool Supervisor::launch_clone(const QemuPlace& place)
{
    const auto begun = std::chrono::steady_clock::now();
    try {
        const VerifiedTemplate verified =
            recorded_template(parse_json(read_file(paths_.warm_template), "the record of an instance's template"));
        const CloneWord word = wake_clone(place, verified);
        add_ssh_forward();
        add_forwards();
        const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
        append_event(paths_, "cloned",
                     {{"template_id", verified.get().id},
                      {"took_ms", took.count()},
                      {"machine_id", word.machine_id},
                      {"host_name", word.host_name},
                      {"mac", word.mac},
                      {"address", word.address},
                      {"random", word.random},
                      {"clock_lag_ms", word.clock_lag.count()}});
        if (word.clock_lag > worst_clock_lag) { // a busy host: the message was long on its way
            set_guest_clock();
        }
        return true;
    } catch (const Error& error) {
        give_clone_up(error.message());
    } catch (const std::exception& error) { // of the file system
        give_clone_up(error.what());
    }
    return false;
}

// The agent takes the time in nanoseconds.
void Supervisor::set_guest_clock()
{
    try {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        agent_.execute("guest-set-time", {{"time", std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()}},
                       seconds(30));
    } catch (const Error& error) { // an image without it; its clock is late by what the event says
        append_event(paths_, "clock-not-set", {{"reason", error.message()}});
    }
}

// What it wrote to its disks with the template's identity is dropped.
void Supervisor::give_clone_up(const std::string& reason)
{
    append_event(paths_, "warm-launch-failed", {{"reason", reason}});
    end_qemu();
    network_.finish(seconds(2)); // it watched that QEMU
    make_disks_anew(instance_, {});
    Instance cold = update_record(paths_, [&](Instance& now) {
        now.warm->start = WarmLaunch::Start::cold;
        now.warm->launched_warm = false;
        now.warm->cloud_init = false;
        now.warm->reason = reason;
    });
    instance_ = with_volumes(home_, std::move(cold));
}

void Supervisor::end_qemu()
{
    power_.reset();
    qmp_.reset();
    memory_ = FileDescriptor();
    if (qemu_) {
        qemu_->signal(SIGKILL);
        static_cast<void>(qemu_->wait(seconds(10)));
        qemu_.reset();
    }
}

} // namespace kiln::launcher
