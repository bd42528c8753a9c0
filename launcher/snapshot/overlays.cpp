// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/overlays.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "launcher/qemu_command.h"
#include "launcher/storage/block_nodes.h"
#include "launcher/storage/volume_chain.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <thread>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t most_lower = 8;
constexpr std::chrono::minutes merge_limit{10};
constexpr const char* merge_job = "merge";

// Of all disks in the folder.
fs::path readers_lock(const InstanceDisk& disk)
{
    return disk.overlay.parent_path() / "readers.lock";
}

// "disk0.12.qcow2" is 12, "disk0.qcow2" is 0.
unsigned number_of(const fs::path& overlay)
{
    const std::string number = overlay.stem().extension();
    unsigned value = 0;
    if (!number.empty()) {
        std::from_chars(number.data() + 1, number.data() + number.size(), value);
    }
    return value;
}

std::map<std::string, TopNode> ask_for_tops(QmpClient& qmp, const std::vector<OwnDisk>& disks)
{
    std::vector<std::string> names;
    std::ranges::transform(disks, std::back_inserter(names), &OwnDisk::node);
    return top_nodes(qmp, names);
}

std::optional<Json> find_merge(QmpClient& qmp)
{
    for (const Json& job : qmp.execute("query-jobs")) {
        if (job.is_object() && job.value("id", "") == merge_job) {
            return job;
        }
    }
    return std::nullopt;
}

// False when it was cancelled, which changes nothing about what the guest reads.
bool await_merge(QmpClient& qmp, const std::function<bool()>& cancelled)
{
    bool asked = false;
    for (;;) {
        const std::optional<Json> job = find_merge(qmp);
        if (!job) {
            throw Error(ErrorKind::launch, "QEMU lost the job that merges the overlays");
        }
        if (job->value("status", "") == "concluded") {
            const std::string why = job->value("error", "");
            qmp.execute("job-dismiss", {{"id", merge_job}});
            if (!why.empty() && !asked) {
                const bool full = why.find("No space left") != std::string::npos;
                throw Error(full ? ErrorKind::no_space : ErrorKind::launch, "the overlays were not merged: " + why,
                            full ? "free some space where Kiln's home is; it is tried again" : "");
            }
            return why.empty();
        }
        if (!asked && cancelled()) {
            asked = true;
            qmp.execute("job-cancel", {{"id", merge_job}});
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

// What a supervisor that was killed had begun.
void end_left_over_merge(QmpClient& qmp)
{
    if (find_merge(qmp)) {
        try {
            static_cast<void>(await_merge(qmp, [] { return true; }));
        } catch (const Error&) { // it had failed
        }
    }
}

// QEMU first, then the record. Either is right for the other's content. False when it was cancelled.
bool merge_disk(const Paths& home, const InstancePaths& paths, QmpClient& qmp, const OwnDisk& own, ByteSize speed,
                const std::function<bool()>& cancelled)
{
    const InstanceDisk& disk = own.disk;
    const fs::path base = disk.lower.front();
    qmp.execute("block-commit", {{"job-id", merge_job},
                                 {"device", overlay_node(own.node, disk.overlay)},
                                 {"top-node", overlay_node(own.node, disk.lower.back())},
                                 {"base-node", overlay_node(own.node, base)},
                                 {"backing-file", ""}, // what QEMU writes into the header of the one above
                                 {"speed", speed.bytes()},
                                 {"auto-dismiss", false}});
    if (!await_merge(qmp, cancelled)) {
        return false;
    }
    sync_file(base);
    OwnDisk merged = own;
    merged.disk.lower = {base};
    record_overlays(home, paths, {merged});
    for (auto gone = disk.lower.rbegin(); std::next(gone) != disk.lower.rend(); ++gone) {
        remove_node(qmp, overlay_node(own.node, *gone));
        fs::remove(*gone);
    }
    return true;
}

bool same_overlays(const InstanceDisk& a, const InstanceDisk& b)
{
    return a.overlay == b.overlay && a.lower == b.lower;
}

// What the disk's record must say for it to be what QEMU has.
InstanceDisk as_qemu_has_it(const OwnDisk& own, const TopNode& top)
{
    InstanceDisk disk = own.disk;
    // Put on the record, and not on the disk.
    if (!disk.lower.empty() && top.name != overlay_node(own.node, disk.overlay) &&
        top.name == overlay_node(own.node, disk.lower.back())) {
        disk.overlay = disk.lower.back();
        disk.lower.pop_back();
    }
    // Merged, and not on the record.
    if (disk.lower.size() > 1 && top.name == overlay_node(own.node, disk.overlay) &&
        top.below == disk.layers.size() + 1) {
        disk.lower.resize(1);
    }
    return disk;
}

} // namespace

std::vector<OwnDisk> own_disks(const Paths& home, const InstancePaths& paths)
{
    const Instance instance = with_volumes(home, load_record(paths));
    std::vector<OwnDisk> disks;
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        disks.push_back({instance.disks[i], disk_node(i)});
    }
    for (const InstanceDisk& volume : instance.volumes) {
        disks.push_back({volume, volume.volume_id});
    }
    return disks;
}

std::vector<fs::path> overlays_of(const InstanceDisk& disk)
{
    std::vector<fs::path> overlays = disk.lower;
    overlays.push_back(disk.overlay);
    return overlays;
}

std::vector<fs::path> make_overlays(const std::vector<OwnDisk>& disks)
{
    std::vector<fs::path> tops;
    for (const auto& [disk, node] : disks) {
        if (disk.lower.size() >= most_lower) {
            throw Error(
                ErrorKind::conflict,
                fmt::format("{} snapshots of {} are under way, or not yet merged", disk.lower.size(), disk.device),
                "wait until one of them is done");
        }
        require_free_space(disk.overlay.parent_path(), mebibytes(64), "a fresh overlay");
        const fs::path lowest = overlays_of(disk).front();
        tops.push_back(lowest.parent_path() /
                       fmt::format("{}.{}.qcow2", lowest.stem().native(), number_of(disk.overlay) + 1));
        fs::remove(tops.back());
        // As large as the disk is, not as its record says: the record of a volume comes after its resize.
        run_or_throw({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", tops.back().native(),
                               std::to_string(disk_size(disk.overlay).bytes())}},
                     "creating an overlay");
        fs::permissions(tops.back(), fs::perms::owner_read | fs::perms::owner_write);
        sync_file(tops.back());
        sync_directory(tops.back().parent_path());
    }
    return tops;
}

void push_overlays(const Paths& home, const InstancePaths& paths, std::vector<OwnDisk> disks,
                   const std::vector<fs::path>& tops)
{
    for (std::size_t i = 0; i < disks.size(); ++i) {
        disks[i].disk.lower.push_back(disks[i].disk.overlay);
        disks[i].disk.overlay = tops.at(i);
    }
    record_overlays(home, paths, disks);
}

void record_overlays(const Paths& home, const InstancePaths& paths, const std::vector<OwnDisk>& disks)
{
    bool of_instance = false;
    for (const auto& [disk, node] : disks) {
        if (disk.volume_id.empty()) {
            of_instance = true;
        } else {
            save_volume_chain(VolumePaths(home, disk.volume_id), overlays_of(disk));
        }
    }
    if (of_instance) {
        update_record(paths, [&](Instance& now) {
            for (InstanceDisk& one : now.disks) {
                const auto found = std::ranges::find_if(disks, [&](const OwnDisk& own) {
                    return own.disk.volume_id.empty() && own.disk.device == one.device;
                });
                if (found != disks.end()) {
                    one.lower = found->disk.lower;
                    one.overlay = found->disk.overlay;
                }
            }
        });
    }
}

std::vector<FileLock> lock_for_reading(const std::vector<OwnDisk>& disks, const std::stop_token& stop)
{
    std::set<fs::path> files;
    for (const auto& [disk, node] : disks) {
        files.insert(readers_lock(disk));
    }
    const auto deadline = std::chrono::steady_clock::now() + merge_limit;
    std::vector<FileLock> locks;
    for (const fs::path& file : files) {
        for (const std::size_t held = locks.size(); locks.size() == held;) {
            try {
                locks.emplace_back(file, FileLock::Wait::fail, "the overlays of an earlier snapshot are being merged",
                                   FileLock::Access::shared);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::conflict || std::chrono::steady_clock::now() > deadline) {
                    throw;
                }
                throw_if_interrupted(stop);
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
        }
    }
    return locks;
}

FileLock lock_for_merging(const InstanceDisk& disk)
{
    return {readers_lock(disk), FileLock::Wait::fail, "a snapshot reads them"};
}

void reconcile_overlays(const Paths& home, const InstancePaths& paths, QmpClient& qmp)
{
    end_left_over_merge(qmp);
    const std::vector<OwnDisk> disks = own_disks(home, paths);
    const auto tops = ask_for_tops(qmp, disks);
    std::vector<OwnDisk> corrected;
    for (const OwnDisk& own : disks) {
        const auto top = tops.find(own.node);
        if (top == tops.end()) { // the guest does not have it
            continue;
        }
        const InstanceDisk now = as_qemu_has_it(own, top->second);
        if (same_overlays(own.disk, now)) {
            continue;
        }
        corrected.push_back({now, own.node});
    }
    if (!corrected.empty()) {
        record_overlays(home, paths, corrected);
    }
    const std::vector<OwnDisk> right = own_disks(home, paths);
    for (const OwnDisk& own : right) {
        const std::vector<fs::path> kept = overlays_of(own.disk);
        for (const std::string& node : nodes_of(qmp, own.node)) { // the others are in no disk
            if (std::ranges::none_of(kept,
                                     [&](const fs::path& file) { return overlay_node(own.node, file) == node; })) {
                remove_node(qmp, node);
            }
        }
    }
    remove_unknown_overlays(right);
}

void remove_unknown_overlays(const std::vector<OwnDisk>& disks)
{
    std::set<fs::path> known;
    std::set<fs::path> folders;
    for (const auto& [disk, node] : disks) {
        for (fs::path& overlay : overlays_of(disk)) {
            folders.insert(overlay.parent_path());
            known.insert(std::move(overlay));
        }
    }
    for (const fs::path& folder : folders) {
        std::error_code gone;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, gone)) {
            const std::string name = entry.path().filename();
            if (name.starts_with("disk") && name.ends_with(".qcow2") && !known.contains(entry.path())) {
                fs::remove(entry.path());
            }
        }
    }
}

bool merge_overlays(const Paths& home, const InstancePaths& paths, QmpClient& qmp, ByteSize speed,
                    const std::function<bool()>& cancelled)
{
    bool all = true;
    const std::vector<OwnDisk> disks = own_disks(home, paths);
    const auto tops = ask_for_tops(qmp, disks);
    for (const OwnDisk& own : disks) {
        if (own.disk.lower.size() < 2 || !tops.contains(own.node)) {
            continue;
        }
        try {
            const FileLock lock = lock_for_merging(own.disk);
            if (cancelled() || !merge_disk(home, paths, qmp, own, speed, cancelled)) {
                return false;
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict) {
                throw;
            }
            all = false;
        }
    }
    return all;
}

} // namespace kiln::launcher
