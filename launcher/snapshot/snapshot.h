// SPDX-License-Identifier: Apache-2.0
// The disks of an instance at one moment, to make an AMI of. Nothing is copied: what the instance writes from then on
// goes into fresh overlays, and the ones below are read where they are.
#pragma once

#include "core/byte_size.h"
#include "core/files.h"
#include "core/json_socket.h"
#include "core/paths.h"
#include "launcher/instance.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

struct FrozenDisk {
    InstanceDisk disk;                           // as the instance had it; its size as it was at that moment
    std::vector<std::filesystem::path> overlays; // qcow2, bottom first, over disk.layers; read-only
    // When the fresh overlay was made of an instance that is stopped.
    std::optional<std::filesystem::file_time_type> untouched{};
};

// Lives as long as the overlays are read. When it ends, also by a kill, what the instance wrote before and after the
// moment is merged behind the guest's back.
struct FrozenDisks {
    std::vector<FrozenDisk> disks{}; // in the place of the AMI's devices, in their order, then the other volumes
    std::string consistency{};       // "filesystem" or "crash"
    std::string reason{};            // why "crash"; empty otherwise
    std::chrono::microseconds frozen_for{0}; // how long the guest's file systems were
    std::vector<FileLock> reading{};         // let go before the supervisor is told
    std::optional<JsonSocket> held{};        // to the supervisor of a running instance
};

// Of a running instance: freezes the guest's file systems unless `freeze` is false, puts a fresh overlay on each disk
// in one QMP transaction, and thaws. Of a stopped one, which may be started at once: its file systems are those of a
// shutdown. Throws Error{launch, no_space, conflict, interrupted}; the instance is as it was then.
[[nodiscard]] FrozenDisks freeze_disks(const Paths& paths, const Instance& instance, bool freeze,
                                       const std::stop_token& stop);

// That this process snapshots the instance, so that another can cancel it; ends with it, also by a kill.
class SnapshotMark
{
public:
    SnapshotMark(const Paths& paths, const Instance& instance);
    ~SnapshotMark();
    SnapshotMark(const SnapshotMark&) = delete;
    SnapshotMark& operator=(const SnapshotMark&) = delete;

private:
    std::filesystem::path file_;
    FileLock lock_;
};

// Stops the snapshots of the instance that are under way, and waits until they have cleaned up. Returns how many.
// Throws Error{launch} for one that does not end.
std::size_t cancel_snapshots(const Paths& paths, const Instance& instance, const std::stop_token& stop);

// The AMI that was made last of this instance, which the next snapshot is compared with.
[[nodiscard]] std::string last_snapshot(const Paths& paths, const Instance& instance); // an id, or ""
void note_snapshot(const Paths& paths, const Instance& instance, const std::string& image_id);

// Lets go of the disks. `wait`: until the overlays of a running instance are merged.
void release_disks(const Paths& paths, const Instance& instance, FrozenDisks disks, bool wait,
                   const std::stop_token& stop);

} // namespace kiln::launcher
