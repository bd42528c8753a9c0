// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/overlays.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "launcher/qemu_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <thread>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t most_lower = 8;
constexpr std::chrono::minutes merge_limit{10};

fs::path readers_lock(const InstancePaths& paths)
{
    return paths.disks / "readers.lock";
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

// Of each disk, as QEMU has it: the node on top, and how many are below that.
struct DiskState {
    std::string top;
    std::size_t below = 0;
};

std::map<std::size_t, DiskState> ask_for_disks(const Instance& instance, QmpClient& qmp)
{
    std::map<std::size_t, DiskState> found;
    for (const Json& device : qmp.execute("query-block")) {
        if (!device.is_object() || !device.contains("inserted")) {
            continue;
        }
        const Json& inserted = device.at("inserted");
        const std::string top = string_member(inserted, "node-name", "QEMU's answer");
        for (std::size_t i = 0; i < instance.disks.size(); ++i) {
            if (top == overlay_node(i) || top.starts_with(overlay_node(i) + "-")) {
                found[i] = {top,
                            static_cast<std::size_t>(integer_member(inserted, "backing_file_depth", "QEMU's answer"))};
            }
        }
    }
    return found;
}

void remove_node(QmpClient& qmp, const std::string& node)
{
    try {
        qmp.execute("blockdev-del", {{"node-name", node}});
    } catch (const Error&) { // it is not there
    }
}

void remove_unknown_files(const InstancePaths& paths, const Instance& instance)
{
    std::set<fs::path> known;
    for (const InstanceDisk& disk : instance.disks) {
        for (const fs::path& overlay : overlays_of(disk)) {
            known.insert(overlay.filename());
        }
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(paths.disks)) {
        const std::string name = entry.path().filename();
        if (name.starts_with("disk") && name.ends_with(".qcow2") && !known.contains(name)) {
            fs::remove(entry.path());
        }
    }
}

constexpr const char* merge_job = "merge";

void await_merge(QmpClient& qmp, const std::function<bool()>& cancelled)
{
    bool asked = false;
    for (;;) {
        const Json jobs = qmp.execute("query-jobs");
        const auto job = std::ranges::find_if(jobs, [](const Json& j) { return j.value("id", "") == merge_job; });
        if (job == jobs.end()) {
            throw Error(ErrorKind::launch, "QEMU lost the job that merges the overlays");
        }
        if (job->value("status", "") == "concluded") {
            const std::string why = job->value("error", "");
            qmp.execute("job-dismiss", {{"id", merge_job}});
            if (!why.empty()) {
                const bool full = why.find("No space left") != std::string::npos;
                throw Error(full ? ErrorKind::no_space : ErrorKind::launch, "the overlays were not merged: " + why,
                            full ? "free some space where Kiln's home is; it is tried again" : "");
            }
            return;
        }
        if (!asked && cancelled()) {
            asked = true;
            qmp.execute("job-cancel", {{"id", merge_job}});
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

// Of one disk: QEMU first, then the record. Either is right for the other's content.
void merge_disk(const InstancePaths& paths, QmpClient& qmp, const Instance& instance, std::size_t index, ByteSize speed,
                const std::function<bool()>& cancelled)
{
    const InstanceDisk& disk = instance.disks[index];
    const fs::path base = disk.lower.front();
    qmp.execute("block-commit",
                {{"job-id", merge_job},
                 {"device", overlay_node(index, disk.overlay)},
                 {"top-node", overlay_node(index, disk.lower.back())},
                 {"base-node", overlay_node(index, base)},
                 // Nobody reads it; QEMU's own would name the whole chain, and has to fit into a header.
                 {"backing-file", base.filename().native()},
                 {"speed", speed.bytes()},
                 {"auto-dismiss", false}});
    await_merge(qmp, cancelled);
    sync_file(base);
    update_record(paths, [&](Instance& now) { now.disks.at(index).lower = {base}; });
    for (auto merged = disk.lower.rbegin(); std::next(merged) != disk.lower.rend(); ++merged) {
        remove_node(qmp, overlay_node(index, *merged));
        fs::remove(*merged);
    }
}

} // namespace

std::vector<fs::path> overlays_of(const InstanceDisk& disk)
{
    std::vector<fs::path> all = disk.lower;
    all.push_back(disk.overlay);
    return all;
}

std::vector<fs::path> make_overlays(const InstancePaths& paths, const Instance& instance)
{
    require_free_space(paths.disks, mebibytes(256), "a snapshot");
    std::vector<fs::path> tops;
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        const InstanceDisk& disk = instance.disks[i];
        if (disk.lower.size() >= most_lower) {
            throw Error(ErrorKind::conflict, fmt::format("{} snapshots of {} are under way", most_lower, instance.id),
                        "wait for one of them; what they hold is merged then, while the instance runs");
        }
        tops.push_back(paths.disks / fmt::format("disk{}.{}.qcow2", i, number_of(disk.overlay) + 1));
        fs::remove(tops.back());
        run_or_throw({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", tops.back().native(),
                               std::to_string(disk.size.bytes())}},
                     "creating an overlay");
        sync_file(tops.back());
    }
    sync_directory(paths.disks);
    return tops;
}

void push_overlays(Instance& instance, const std::vector<fs::path>& tops)
{
    for (std::size_t i = 0; i < tops.size(); ++i) {
        InstanceDisk& disk = instance.disks.at(i);
        disk.lower.push_back(disk.overlay);
        disk.overlay = tops[i];
    }
}

FileLock lock_for_reading(const InstancePaths& paths, const std::stop_token& stop)
{
    constexpr const char* busy = "the overlays of an earlier snapshot are being merged";
    const auto deadline = std::chrono::steady_clock::now() + merge_limit;
    for (;;) {
        try {
            return {readers_lock(paths), FileLock::Wait::fail, busy, FileLock::Access::shared};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict || std::chrono::steady_clock::now() > deadline) {
                throw;
            }
        }
        throw_if_interrupted(stop);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

bool can_merge(const Instance& instance)
{
    return std::ranges::any_of(instance.disks, [](const InstanceDisk& disk) { return disk.lower.size() > 1; });
}

Instance reconcile_overlays(const InstancePaths& paths, QmpClient& qmp)
{
    const Instance before = load_record(paths);
    const auto running = ask_for_disks(before, qmp);
    const auto correct = [&](Instance& now) {
        for (const auto& [index, state] : running) {
            InstanceDisk& disk = now.disks.at(index);
            // Put on the record, and not on the disk.
            if (!disk.lower.empty() && state.top != overlay_node(index, disk.overlay) &&
                state.top == overlay_node(index, disk.lower.back())) {
                disk.overlay = disk.lower.back();
                disk.lower.pop_back();
            }
            // Merged, and not on the record.
            if (disk.lower.size() > 1 && state.top == overlay_node(index, disk.overlay) &&
                state.below == disk.layers.size() + 1) {
                disk.lower.resize(1);
            }
        }
    };
    Instance now = before;
    correct(now);
    const bool same = std::ranges::equal(now.disks, before.disks, [](const InstanceDisk& a, const InstanceDisk& b) {
        return a.overlay == b.overlay && a.lower == b.lower;
    });
    if (!same) {
        now = update_record(paths, correct);
    }
    for (std::size_t i = 0; i < before.disks.size(); ++i) {
        const auto kept = overlays_of(now.disks[i]);
        for (const fs::path& overlay : overlays_of(before.disks[i])) {
            if (std::ranges::find(kept, overlay) == kept.end()) {
                remove_node(qmp, overlay_node(i, overlay));
            }
        }
    }
    remove_unknown_files(paths, now);
    return now;
}

bool merge_overlays(const InstancePaths& paths, QmpClient& qmp, ByteSize speed, const std::function<bool()>& cancelled)
{
    const Instance instance = load_record(paths);
    if (!can_merge(instance)) {
        return true;
    }
    try {
        const FileLock lock(readers_lock(paths), FileLock::Wait::fail, "somebody reads them");
        for (std::size_t i = 0; i < instance.disks.size(); ++i) {
            if (instance.disks[i].lower.size() > 1) {
                merge_disk(paths, qmp, instance, i, speed, cancelled);
            }
        }
        return true;
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::conflict) {
            return false;
        }
        throw;
    }
}

} // namespace kiln::launcher
