// SPDX-License-Identifier: Apache-2.0
// Internal: volumes' records, and the rules by which commands that run at the same time, or were killed, leave them
// right. Locks are taken in this order: an instance's life.lock, volumes' locks by id, volumes.lock (names).
#pragma once

#include "core/files.h"
#include "launcher/storage/volume.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// As it is on disk. Throws Error{not_found, io}.
[[nodiscard]] Volume load_volume(const VolumePaths& paths);
void save_volume(const VolumePaths& paths, const Volume& volume); // durable
void append_volume_event(const VolumePaths& paths, std::string_view event, const Json& detail);
// What "created", "resized" and "tagged" say for whoever adds the bill up.
[[nodiscard]] Json volume_bill(const Volume& volume);

// Throws Error{conflict} with who has it after 30 s, Error{not_found} when the volume is gone.
[[nodiscard]] FileLock lock_volume(const VolumePaths& paths, const std::stop_token& stop);

// Finishes what a killed command left half done, as far as that needs no look at QEMU: a launch that made it and came
// to nothing, an instance that is gone, a deletion, a resize. Returns the record; nullopt when nothing is left of it.
// The caller has its lock.
[[nodiscard]] std::optional<Volume> settle_volume(const Paths& paths, const std::string& id);

// Throws Error{usage} for what is no name, Error{conflict} for one that another volume has. The caller has
// volumes.lock.
void require_volume_name(const Paths& paths, const std::string& name);
[[nodiscard]] FileLock lock_volume_names(const Paths& paths);

// The virtual size of a qcow2 file; what it says is checked as require_sound_disk() does. Throws Error{damaged}.
[[nodiscard]] ByteSize disk_size(const std::filesystem::path& file);

// Throws Error{damaged} unless each file of its disk is a qcow2 that names no other: an instance's QEMU wrote it, and a
// guest that broke out of that must not get further.
void require_sound_disk(const VolumePaths& paths);
// The same for all that the instance starts with.
void require_sound_volumes(const Paths& paths, const Instance& instance);

// Removes what launches left behind that were killed before their instance was there.
void sweep_volumes(const Paths& paths);

// Those that are attached to the instance, or about to be: what its QEMU starts with. Sorted by device.
[[nodiscard]] std::vector<Volume> volumes_of(const std::vector<Volume>& volumes, std::string_view instance_id);
// The instance with them: `disks` has those in the place of its AMI's devices, `volumes` the others.
[[nodiscard]] Instance with_volumes(const Paths& paths, Instance instance, const std::vector<Volume>& volumes);
[[nodiscard]] Instance with_volumes(const Paths& paths, Instance instance);

// An attached volume as its instance has it.
[[nodiscard]] InstanceDisk disk_of(const Paths& paths, const Volume& volume);

// At an instance's end: deletes its volumes or sets them free, as each says. Those that its launch made and that were
// never in use go without a trace. The caller has the instance's life lock. Can be done again after a crash.
void release_volumes(const Paths& paths, const std::string& instance_id);

// Removes the volume in every way; its record and event log stay for the bill. The caller has its lock.
void bury_volume(const Paths& paths, Volume volume);

} // namespace kiln::launcher
