// SPDX-License-Identifier: Apache-2.0
#include "builder/warm_launch.h"

#include "builder/hypervisor_path.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/machine_state.h"
#include "core/random.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <utility>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr const char* hypervisor_name = "qemu-system"; // as kill_appliance_processes() looks for it
constexpr const char* state_name = "state";            // in the template's folder
constexpr std::size_t seed_digits = 128;

[[noreturn]] void fail(guestfs_h* handle, std::string_view doing)
{
    throw Error(ErrorKind::launch, fmt::format("{}: {}", doing, last_error(handle)));
}

// By way of the folder's descriptor, as the path of a UNIX socket may have 107 bytes only.
JsonSocket connect_to_monitor(const fs::path& folder)
{
    const FileDescriptor fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", folder.native()));
    }
    return JsonSocket::connect(fmt::format("/proc/self/fd/{}/qmp", fd.get()), "QEMU");
}

} // namespace

WarmLaunch::WarmLaunch(WarmMachine machine, fs::path launch) : machine_(std::move(machine)), folder_(std::move(launch))
{
    fs::remove_all(folder_);
    make_directories(folder_, 0700);
    fs::create_symlink(machine_.folder / "wrapper", folder_ / hypervisor_name);
    write_file_durably(folder_ / "plan", wrapper_plan(machine_), 0600);
}

void WarmLaunch::start(guestfs_h* handle)
{
    // The template's folder looks to libguestfs like a fixed appliance, and keeps what it learns about QEMU.
    if (guestfs_set_path(handle, machine_.folder.c_str()) == -1 ||
        guestfs_set_cachedir(handle, machine_.folder.c_str()) == -1 ||
        guestfs_set_hv(handle, hypervisor_path(folder_ / hypervisor_name).c_str()) == -1) {
        fail(handle, "choosing the appliance");
    }
    // libguestfs does not launch without a disk; the wrapper leaves it out.
    struct guestfs_add_drive_opts_argv raw {
    };
    raw.bitmask = GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK;
    raw.format = "raw";
    if (guestfs_add_drive_opts_argv(handle, "/dev/null", &raw) == -1) {
        fail(handle, "adding no disk");
    }
    if (guestfs_launch(handle) == -1) {
        fail(handle, "launching the appliance");
    }
    monitor_ = std::make_unique<QmpClient>(connect_to_monitor(folder_));
    if (machine_.mode == WarmMachine::Mode::restore) {
        load_machine_state(*monitor_, open_machine_state(machine_.folder / state_name));
    }
}

void WarmLaunch::save()
{
    save_machine_state(*monitor_, machine_.folder / state_name);
    monitor_->execute("quit");
}

void WarmLaunch::wake(guestfs_h* handle) const
{
    const std::string seed = random_hex(seed_digits);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
    std::string command =
        fmt::format("exec {} {} {} {}", wake_path, seconds.count(),
                    std::chrono::duration_cast<std::chrono::nanoseconds>(now - seconds).count(), seed);
    for (std::size_t i = 0; i < machine_.drives.size(); ++i) {
        command += " " + label_of(i);
    }
    char* argv[] = {command.data(), nullptr};
    const String output(guestfs_debug(handle, "sh", argv));
    if (!output) {
        fail(handle, "waking the appliance");
    }
}

} // namespace kiln::builder
