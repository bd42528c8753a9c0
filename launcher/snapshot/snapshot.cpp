// SPDX-License-Identifier: Apache-2.0
// The commands' side: a request to the supervisor of a running instance; the record of a stopped one.
#include "launcher/snapshot/snapshot.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/random.h"
#include "launcher/control.h"
#include "launcher/life/life_lock.h"
#include "launcher/snapshot/overlays.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <thread>
#include <unistd.h>
#include <utility>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view answer_name = "the supervisor's answer";
constexpr std::chrono::minutes freeze_limit{10};
constexpr std::chrono::hours merge_limit{24};
constexpr std::chrono::minutes cancel_limit{2};
constexpr std::string_view mark_prefix = "snapshot.";
constexpr const char* last_file = "last-snapshot";

void freeze_running(const Paths& paths, const Instance& instance, bool freeze, const std::stop_token& stop,
                    FrozenDisks& frozen)
{
    HeldAnswer answer =
        ask_and_hold(paths, instance.id, {{"request", "freeze-disks"}, {"freeze", freeze}}, freeze_limit, stop);
    frozen.consistency = string_member(answer.result, "consistency", answer_name);
    frozen.reason = string_member(answer.result, "reason", answer_name);
    frozen.frozen_for = std::chrono::microseconds(integer_member(answer.result, "frozen_us", answer_name));
    const Json& disks = member(answer.result, "overlays", answer_name);
    if (!disks.is_array() || disks.size() != instance.disks.size()) {
        throw Error(ErrorKind::launch, "the supervisor has other disks than the instance");
    }
    for (std::size_t i = 0; i < disks.size(); ++i) {
        FrozenDisk disk{.disk = instance.disks[i], .overlays = {}};
        for (const Json& overlay : disks[i]) {
            disk.overlays.emplace_back(overlay.get<std::string>());
        }
        frozen.disks.push_back(std::move(disk));
    }
    frozen.held = std::move(answer.socket);
}

// Whether it was stopped in order: a guest that was cut off left its file systems as they were.
bool shut_down(const Instance& instance)
{
    return instance.state_reason == "stopped by its user" ||
           instance.state_reason_code == "Client.InstanceInitiatedShutdown";
}

void freeze_stopped(const InstancePaths& files, const Instance& instance, FrozenDisks& frozen)
{
    for (const InstanceDisk& disk : instance.disks) {
        frozen.disks.push_back({.disk = disk, .overlays = overlays_of(disk)});
    }
    const std::vector<fs::path> tops = make_overlays(files, instance);
    update_record(files, [&](Instance& now) { push_overlays(now, tops); });
    const bool whole = shut_down(instance);
    frozen.consistency = whole ? "filesystem" : "crash";
    frozen.reason = whole ? "" : fmt::format("it was not shut down in order: {}", instance.state_reason);
}

// The overlays of one that was not started since are empty.
void drop_empty_tops(const InstancePaths& files, const FrozenDisks& frozen, const std::stop_token& stop)
{
    const FileLock life = lock_life(files, stop);
    const Instance now = load_record(files);
    for (std::size_t i = 0; i < frozen.disks.size(); ++i) {
        if (now.state != InstanceState::stopped || now.disks.at(i).lower != frozen.disks[i].overlays) {
            return; // it has run, or another snapshot stands on them
        }
    }
    try {
        const FileLock alone(files.disks / "readers.lock", FileLock::Wait::fail, "another snapshot reads them");
        update_record(files, [](Instance& instance) {
            for (InstanceDisk& disk : instance.disks) {
                disk.overlay = disk.lower.back();
                disk.lower.pop_back();
            }
        });
        for (const InstanceDisk& disk : now.disks) {
            fs::remove(disk.overlay);
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::conflict) {
            throw;
        }
    }
}

} // namespace

FrozenDisks freeze_disks(const Paths& paths, const Instance& instance, bool freeze, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    FrozenDisks frozen{.reading = lock_for_reading(files, stop)};
    {
        const FileLock life = lock_life(files, stop);
        const Instance now = settle(files, instance.id);
        if (now.state == InstanceState::stopped) {
            freeze_stopped(files, now, frozen);
            return frozen;
        }
        if (now.state != InstanceState::running) {
            throw Error(ErrorKind::conflict, fmt::format("{} is {}", now.id, name_of(now.state)),
                        "a running or a stopped instance can be snapshotted");
        }
    }
    freeze_running(paths, instance, freeze, stop, frozen);
    return frozen;
}

void release_disks(const Paths& paths, const Instance& instance, FrozenDisks disks, bool wait,
                   const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    const bool running = disks.held.has_value();
    {
        const FileLock let_go = std::move(disks.reading);
    }
    if (!running) {
        drop_empty_tops(files, disks, stop);
    }
    if (wait && load_record(files).state == InstanceState::running) {
        static_cast<void>(ask_supervisor(paths, instance.id, {{"request", "merge-disks"}}, merge_limit, stop));
    }
}

SnapshotMark::SnapshotMark(const Paths& paths, const Instance& instance)
    : file_(InstancePaths(paths, instance.id).folder / fmt::format("{}{}", mark_prefix, ::getpid())),
      lock_(file_, FileLock::Wait::fail, "another process has this one's id")
{
}

SnapshotMark::~SnapshotMark()
{
    std::error_code ignored; // the instance may have been terminated
    fs::remove(file_, ignored);
}

std::size_t cancel_snapshots(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    std::vector<fs::path> marks;
    for (const fs::directory_entry& entry : fs::directory_iterator(InstancePaths(paths, instance.id).folder)) {
        if (entry.path().filename().native().starts_with(mark_prefix)) {
            marks.push_back(entry.path());
        }
    }
    std::size_t cancelled = 0;
    for (const fs::path& mark : marks) {
        const std::string name = mark.filename();
        const pid_t pid = std::atoi(name.c_str() + mark_prefix.size());
        const auto deadline = std::chrono::steady_clock::now() + cancel_limit;
        for (bool told = false;;) {
            try {
                const FileLock gone(mark, FileLock::Wait::fail, "it runs");
                fs::remove(mark);
                break;
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::conflict || pid <= 1) {
                    throw;
                }
            }
            if (!std::exchange(told, true)) { // its lock is held, so that the pid is still its own
                ::kill(pid, SIGTERM);
                ++cancelled;
            }
            if (std::chrono::steady_clock::now() > deadline) {
                throw Error(ErrorKind::launch, fmt::format("the snapshot by process {} does not end", pid));
            }
            throw_if_interrupted(stop);
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }
    return cancelled;
}

std::string last_snapshot(const Paths& paths, const Instance& instance)
{
    const fs::path file = InstancePaths(paths, instance.id).folder / last_file;
    const std::string id = fs::exists(file) ? read_file(file, ByteSize(64)) : "";
    return is_resource_id("ami-", id) ? id : "";
}

void note_snapshot(const Paths& paths, const Instance& instance, const std::string& image_id)
{
    const InstancePaths files(paths, instance.id);
    if (fs::exists(files.record)) { // it may have been terminated meanwhile
        write_file_durably(files.folder / last_file, image_id, 0600);
        append_event(files, "snapshotted", {{"image_id", image_id}});
    }
}

} // namespace kiln::launcher
