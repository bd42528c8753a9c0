// SPDX-License-Identifier: Apache-2.0
// The commands' side: a request to the supervisor of a running instance; the record of a stopped one.
#include "launcher/snapshot/snapshot.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/random.h"
#include "launcher/control.h"
#include "launcher/life/life_lock.h"
#include "launcher/snapshot/overlays.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
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

void freeze_running(const Paths& paths, const Instance& instance, const std::vector<OwnDisk>& disks, bool freeze,
                    const std::stop_token& stop, FrozenDisks& frozen)
{
    Json volumes = Json::array();
    for (const auto& [disk, node] : disks) {
        if (!disk.volume_id.empty()) {
            volumes.push_back(disk.volume_id);
        }
    }
    HeldAnswer answer =
        ask_and_hold(paths, instance.id, {{"request", "freeze-disks"}, {"freeze", freeze}, {"volumes", volumes}},
                     freeze_limit, stop);
    frozen.consistency = string_member(answer.result, "consistency", answer_name);
    frozen.reason = string_member(answer.result, "reason", answer_name);
    frozen.frozen_for = std::chrono::microseconds(integer_member(answer.result, "frozen_us", answer_name));
    for (const Json& one : member(answer.result, "disks", answer_name)) {
        const std::string device = string_member(one, "device", answer_name);
        const auto own = std::ranges::find_if(disks, [&](const OwnDisk& o) { return o.disk.device == device; });
        if (own == disks.end()) {
            throw Error(ErrorKind::launch, "the supervisor has other disks than the instance");
        }
        FrozenDisk disk{.disk = own->disk, .overlays = {}};
        disk.disk.size = ByteSize(static_cast<std::uint64_t>(integer_member(one, "size", answer_name)));
        for (const Json& overlay : member(one, "overlays", answer_name)) {
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

void freeze_stopped(const Paths& paths, const InstancePaths& files, const Instance& instance,
                    const std::vector<OwnDisk>& disks, FrozenDisks& frozen)
{
    const std::vector<fs::path> tops = make_overlays(disks);
    for (std::size_t i = 0; i < disks.size(); ++i) {
        FrozenDisk disk{
            .disk = disks[i].disk, .overlays = overlays_of(disks[i].disk), .untouched = fs::last_write_time(tops[i])};
        disk.disk.size = disk_size(disk.disk.overlay);
        frozen.disks.push_back(std::move(disk));
    }
    push_overlays(paths, files, disks, tops);
    const bool whole = shut_down(instance);
    frozen.consistency = whole ? "filesystem" : "crash";
    frozen.reason = whole ? "" : fmt::format("it was not shut down in order: {}", instance.state_reason);
}

// Nothing was written to the fresh overlay, and no other snapshot stands on it.
bool is_as_it_was_left(const OwnDisk& own, const FrozenDisk& frozen)
{
    std::error_code gone;
    return own.disk.device == frozen.disk.device && own.disk.lower == frozen.overlays &&
           fs::last_write_time(own.disk.overlay, gone) == frozen.untouched;
}

// The overlays of one that was not started since are empty.
void drop_empty_tops(const Paths& paths, const InstancePaths& files, const FrozenDisks& frozen,
                     const std::stop_token& stop)
{
    const FileLock life = lock_life(files, stop);
    if (load_record(files).state != InstanceState::stopped) {
        return;
    }
    for (OwnDisk own : own_disks(paths, files)) {
        const bool unused =
            std::ranges::any_of(frozen.disks, [&](const FrozenDisk& disk) { return is_as_it_was_left(own, disk); });
        if (!unused) {
            continue;
        }
        try {
            const FileLock alone = lock_for_merging(own.disk);
            const fs::path top = std::move(own.disk.overlay);
            own.disk.overlay = own.disk.lower.back();
            own.disk.lower.pop_back();
            record_overlays(paths, files, {own});
            fs::remove(top);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict) { // another snapshot reads them
                throw;
            }
        }
    }
}

} // namespace

FrozenDisks freeze_disks(const Paths& paths, const Instance& instance, bool freeze, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    FrozenDisks frozen;
    std::vector<OwnDisk> disks;
    const auto same_folders = [](const OwnDisk& a, const OwnDisk& b) { return a.disk.volume_id == b.disk.volume_id; };
    for (;;) {
        const std::vector<OwnDisk> before = own_disks(paths, files);
        frozen.reading = lock_for_reading(before, stop); // for as long as a merge takes: not under the life lock
        const FileLock life = lock_life(files, stop);
        const Instance now = settle(files, instance.id);
        disks = own_disks(paths, files);
        if (!std::ranges::equal(before, disks, same_folders)) {
            continue; // a volume came or went
        }
        if (now.state == InstanceState::stopped) {
            freeze_stopped(paths, files, now, disks, frozen);
            return frozen;
        }
        if (now.state != InstanceState::running) {
            throw Error(ErrorKind::conflict, fmt::format("{} is {}", now.id, name_of(now.state)),
                        "a running or a stopped instance can be snapshotted");
        }
        break;
    }
    freeze_running(paths, instance, disks, freeze, stop, frozen);
    return frozen;
}

void release_disks(const Paths& paths, const Instance& instance, FrozenDisks disks, bool wait,
                   const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    const bool running = disks.held.has_value();
    disks.reading.clear();
    if (!running) {
        drop_empty_tops(paths, files, disks, stop);
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
        pid_t pid = 0;
        std::from_chars(name.data() + mark_prefix.size(), name.data() + name.size(), pid);
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
