// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/launch_volumes.h"

#include "core/error.h"
#include "launcher/instance_store.h"
#include "launcher/storage/volume_files.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace fs = std::filesystem;

LaunchVolumes::LaunchVolumes(const Paths& paths, fs::path staging, const Instance& instance,
                             std::vector<PlannedVolume> volumes, const std::stop_token& stop)
    : paths_(paths), staging_(std::move(staging)), instance_name_(instance.name), volumes_(std::move(volumes))
{
    // Locks of several are taken in the order of their ids, so that two launches don't wait for one another.
    std::ranges::sort(volumes_, {}, [](const PlannedVolume& planned) { return planned.volume.id; });
    for (PlannedVolume& planned : volumes_) {
        planned.volume.attachment->instance_id = instance.id;
        if (planned.is_new && planned.volume.attachment->mapping) {
            planned.volume.source = VolumeSource{instance.image_id, planned.volume.attachment->device};
        }
        if (planned.is_new) {
            stage(planned, stop);
        } else {
            claim(planned, stop);
        }
    }
}

LaunchVolumes::~LaunchVolumes()
{
    locks_.clear();
    if (!placed_ || confirmed_) {
        return;
    }
    for (const PlannedVolume& planned : volumes_) {
        try {
            const VolumePaths files(paths_, planned.volume.id);
            if (fs::exists(files.record)) {
                const FileLock lock(files.lock, FileLock::Wait::fail, "");
                static_cast<void>(settle_volume(paths_, planned.volume.id));
            }
        } catch (const std::exception&) { // the next command on it does it
        }
    }
}

void LaunchVolumes::stage(const PlannedVolume& planned, const std::stop_token& stop)
{
    const VolumePaths files(paths_, planned.volume.id);
    const fs::path folder = staging_ / planned.volume.id;
    make_directories(folder, 0700);
    create_volume_disk(folder / files.disk.filename(), planned.volume.size, planned.layers, stop);
    write_file_durably(folder / files.record.filename(), to_json(planned.volume).dump(2) + "\n", 0600);
    locks_.emplace_back(folder / files.lock.filename(), FileLock::Wait::fail);
}

void LaunchVolumes::claim(PlannedVolume& planned, const std::stop_token& stop)
{
    const std::string& id = planned.volume.id;
    locks_.push_back(lock_volume(VolumePaths(paths_, id), stop));
    std::optional<Volume> now = settle_volume(paths_, id);
    if (!now) {
        throw Error(ErrorKind::not_found, fmt::format("the volume {} was deleted", id));
    }
    if (now->attachment) {
        throw Error(ErrorKind::conflict,
                    fmt::format("VolumeInUse: {} is attached to {}", id, now->attachment->instance_id),
                    fmt::format("`kiln volume detach {}` first", id));
    }
    require_sound_disk(VolumePaths(paths_, id));
    now->attachment = std::move(planned.volume.attachment);
    now->state = VolumeState::in_use;
    planned.volume = std::move(*now);
}

// A new one is called after the instance that it is made for, where that has a name and the name is free.
void LaunchVolumes::name_after_instance(Volume& volume) const
{
    const std::string& device = volume.attachment->device;
    const std::string name = fmt::format("{}-{}", instance_name_.value_or(""), device.substr(device.rfind('/') + 1));
    try {
        if (instance_name_) {
            require_volume_name(paths_, name);
            volume.name = name;
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::conflict && error.kind() != ErrorKind::usage) {
            throw;
        }
    }
}

void LaunchVolumes::place()
{
    if (volumes_.empty()) {
        return;
    }
    make_directories(paths_.home / "volumes", 0700);
    const FileLock names = lock_volume_names(paths_);
    placed_ = true;
    for (PlannedVolume& planned : volumes_) {
        const VolumePaths files(paths_, planned.volume.id);
        if (planned.is_new) {
            name_after_instance(planned.volume);
            const fs::path folder = staging_ / planned.volume.id;
            write_file_durably(folder / files.record.filename(), to_json(planned.volume).dump(2) + "\n", 0600);
            fs::rename(folder, files.folder);
            sync_directory(files.folder.parent_path());
        } else {
            save_volume(files, planned.volume);
        }
    }
}

void LaunchVolumes::confirm()
{
    for (PlannedVolume& planned : volumes_) {
        const VolumePaths files(paths_, planned.volume.id);
        if (planned.is_new) {
            append_volume_event(files, "created", volume_bill(planned.volume));
            planned.volume.state = VolumeState::in_use;
            save_volume(files, planned.volume);
        }
        append_volume_event(
            files, "attached",
            {{"instance_id", planned.volume.attachment->instance_id}, {"device", planned.volume.attachment->device}});
    }
    confirmed_ = true;
    locks_.clear();
}

} // namespace kiln::launcher
