// SPDX-License-Identifier: Apache-2.0
// The end of an instance: only its record and its event log stay, below ended/, for the bill.
#include "core/error.h"
#include "core/files.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"
#include "launcher/life/life_lock.h"
#include "launcher/life/removal.h"
#include "launcher/qemu_process.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>
#include <thread>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds end_limit{10};

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

void end_processes(const InstancePaths& files, const std::string& id)
{
    end_process(find_qemu(files, id));
    wait_for_supervisor(files);
    end_process(find_qemu(files, id)); // of a supervisor that was just starting one
    wait_for_supervisor(files);
    end_process(find_network_helper(files, id)); // of a supervisor that was killed
}

// Asks the guest through the supervisor, and waits for as long as that takes.
void ask_to_shut_down(const Paths& paths, const InstancePaths& files, const std::string& id,
                      std::chrono::seconds patience, const std::stop_token& stop)
{
    const auto qemu = find_qemu(files, id);
    if (!qemu) {
        return;
    }
    try {
        const WatchedProcess process(*qemu);
        static_cast<void>(ask_supervisor(paths, id, {{"request", "shut-down"}, {"patience_seconds", patience.count()}},
                                         std::chrono::seconds(40), stop));
        const auto deadline = std::chrono::steady_clock::now() + patience + 2 * end_limit;
        while (!process.wait(std::chrono::milliseconds(100)) && std::chrono::steady_clock::now() < deadline &&
               !stop.stop_requested()) {
        }
    } catch (const Error& error) { // it ended meanwhile, or does not answer: it is ended all the same
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
    }
}

void remove_run_folder(const Paths& paths, const InstancePaths& files)
{
    std::error_code ignored;
    fs::remove_all(files.run, ignored);
    fs::remove(paths.run, ignored); // when it was the last one
}

// Also on a full disk, which a termination may be to help.
void mark_for_termination(const InstancePaths& files)
{
    const auto mark = [&] {
        update_record(files, [](Instance& record) {
            record.state = InstanceState::shutting_down;
            record.state_reason.clear();
            record.state_reason_code = "Client.UserInitiatedShutdown";
        });
    };
    try {
        mark();
    } catch (const Error& error) {
        std::error_code ignored;
        if (error.kind() != ErrorKind::no_space || !fs::remove(files.reserve, ignored)) {
            throw;
        }
        mark();
    }
}

} // namespace

void bury(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    remove_run_folder(paths, files);
    if (!fs::exists(files.record)) {
        return;
    }
    release_volumes(paths, id);
    constexpr std::array<std::string_view, 5> kept{"instance.json", "events.jsonl", "life.lock", "record.lock",
                                                   "supervisor.lock"};
    for (const fs::directory_entry& entry : fs::directory_iterator(files.folder)) {
        if (std::ranges::find(kept, entry.path().filename().native()) == kept.end()) {
            fs::remove_all(entry.path());
        }
    }
    append_event(files, "terminated", {{"code", load_record(files).state_reason_code}});
    update_record(files, [](Instance& instance) {
        instance.state = InstanceState::terminated;
        instance.ssh_port = 0;
        instance.ssh_key.clear();
        instance.forwards.clear();
        instance.user_data = false;
    });
    make_directories(files.ended.parent_path(), 0700);
    fs::rename(files.folder, files.ended);
    sync_directory(files.ended.parent_path());
    sync_directory(paths.instances);
    std::error_code ignored;
    for (const std::string_view lock : {"life.lock", "record.lock", "supervisor.lock"}) {
        fs::remove(files.ended / lock, ignored);
    }
}

void terminate(const Paths& paths, const Instance& instance, std::chrono::seconds patience, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    if (!fs::exists(files.record)) {
        remove_run_folder(paths, files);
        return;
    }
    std::optional<FileLock> lock;
    try {
        lock.emplace(lock_life(files, stop));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::conflict && !fs::exists(files.record)) { // another command was quicker
            return;
        }
        throw;
    }
    settle(files, instance.id);
    mark_for_termination(files);
    if (patience.count() > 0) {
        ask_to_shut_down(paths, files, instance.id, patience, stop);
    }
    end_processes(files, instance.id);
    bury(paths, instance.id);
}

void discard(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    if (fs::exists(files.record)) {
        update_record(files, [](Instance& record) { record.state = InstanceState::shutting_down; });
        end_processes(files, id);
    }
    remove_run_folder(paths, files);
    fs::remove_all(files.folder);
}

} // namespace kiln::launcher
