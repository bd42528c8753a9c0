// SPDX-License-Identifier: Apache-2.0
// The end of an instance: nothing of it stays.
#include "core/error.h"
#include "core/files.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"
#include "launcher/qemu_process.h"

#include <csignal>
#include <thread>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds end_limit{10};
constexpr std::chrono::seconds supervisor_limit{15};

void end_process(std::optional<pid_t> pid)
{
    if (!pid) {
        return;
    }
    try {
        const WatchedProcess process(*pid);
        process.signal(SIGTERM); // QEMU then closes its disks and ends; the guest is not asked
        if (!process.wait(end_limit)) {
            process.signal(SIGKILL);
            static_cast<void>(process.wait(end_limit));
        }
    } catch (const Error&) { // it ended meanwhile
    }
}

// The supervisor ends by itself when QEMU has; its lock tells.
void wait_for_supervisor(const InstancePaths& paths)
{
    const auto deadline = std::chrono::steady_clock::now() + supervisor_limit;
    while (std::chrono::steady_clock::now() < deadline) {
        try {
            const FileLock lock(paths.folder / "supervisor.lock", FileLock::Wait::fail, "busy");
            return;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict) {
                return;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

} // namespace

void terminate(const Paths& paths, const Instance& instance)
{
    const InstancePaths files(paths, instance.id);
    if (fs::exists(files.record)) {
        Instance record = load_record(files);
        record.state = InstanceState::shutting_down;
        save_record(files, record);
    }
    end_process(find_qemu(files, instance.id));
    wait_for_supervisor(files);
    end_process(find_qemu(files, instance.id)); // of a supervisor that was just starting one
    wait_for_supervisor(files);
    end_process(find_network_helper(files, instance.id)); // of a supervisor that was killed
    std::error_code ignored;
    fs::remove_all(files.run, ignored);
    fs::remove(paths.run, ignored); // when it was the last one
    fs::remove_all(files.folder);
}

} // namespace kiln::launcher
