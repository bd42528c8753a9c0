// SPDX-License-Identifier: Apache-2.0
// Volumes are made, deleted and changed; attaching is in volume_attach.cpp.
#include "core/error.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/instance_store.h"
#include "launcher/storage/volume_chain.h"
#include "launcher/storage/volume_files.h"
#include "launcher/storage/volume_holder.h"
#include "launcher/storage/volume_store.h"
#include "launcher/tags.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

Volume require_settled(const Paths& paths, const std::string& id)
{
    std::optional<Volume> volume = settle_volume(paths, id);
    if (!volume) {
        throw Error(ErrorKind::not_found, fmt::format("the volume {} was being deleted, and is now", id));
    }
    return std::move(*volume);
}

} // namespace

Volume create_volume(const Paths& paths, const NewVolume& request, const std::stop_token& stop)
{
    require_volume_size(request.size);
    if (std::ranges::find(volume_types, request.type) == volume_types.end()) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no volume type", printable(request.type, false)),
                    fmt::format("the types are {}", fmt::join(volume_types, ", ")));
    }
    make_directories(paths.home / "volumes", 0700);
    require_free_space(paths.home / "volumes", mebibytes(64), "a volume");
    WorkFolder::sweep_abandoned(paths.work);
    sweep_volumes(paths);
    make_directories(paths.work, 0700);
    const WorkFolder staging(paths.work, "volume-");
    Volume volume;
    volume.id = random_resource_id("vol-");
    volume.name = request.name;
    volume.size = request.size;
    volume.type = request.type;
    volume.tags = request.tags;
    volume.created = iso_now();
    const VolumePaths files(paths, volume.id);
    const fs::path folder = staging.path() / volume.id;
    make_directories(folder, 0700);
    create_volume_disk(folder / files.disk.filename(), volume.size, {}, stop);
    write_file_durably(folder / files.record.filename(), to_json(volume).dump(2) + "\n", 0600);
    append_event_line(folder / files.events.filename(), "created", volume_bill(volume));

    const FileLock names = lock_volume_names(paths);
    if (request.name) {
        require_volume_name(paths, *request.name);
    }
    fs::rename(folder, files.folder);
    sync_directory(files.folder.parent_path());
    return volume;
}

void delete_volume(const Paths& paths, const std::string& id, const std::stop_token& stop)
{
    const HeldVolume held(paths, id, stop);
    const std::optional<Volume> volume = settle_volume(paths, id);
    if (!volume) { // it was half deleted
        return;
    }
    if (volume->attachment) {
        throw Error(ErrorKind::conflict,
                    fmt::format("VolumeInUse: {} is attached to {}", id, volume->attachment->instance_id),
                    fmt::format("`kiln volume detach {}` first", id));
    }
    bury_volume(paths, *volume);
}

Volume resize_volume(const Paths& paths, const std::string& id, ByteSize size, const std::stop_token& stop)
{
    require_volume_size(size);
    const VolumePaths files(paths, id);
    const HeldVolume held(paths, id, stop);
    Volume volume = require_settled(paths, id);
    if (size < volume.size) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} has {}, and {} is smaller", id, to_string(volume.size), to_string(size)),
                    "a volume can only grow");
    }
    if (size == volume.size) {
        return volume;
    }
    require_sound_disk(files);
    if (held.runs()) {
        static_cast<void>(
            held.ask({{"request", "volume"}, {"change", "resize"}, {"volume_id", id}, {"bytes", size.bytes()}},
                     std::chrono::seconds(40), stop));
    } else {
        const fs::path top = volume_chain(files).back();
        run_or_throw({.argv = {"qemu-img", "resize", "-q", "-f", "qcow2", top.native(), std::to_string(size.bytes())}},
                     "resizing the volume", stop);
        sync_file(top);
    }
    volume.size = size;
    save_volume(files, volume);
    append_volume_event(files, "resized", volume_bill(volume));
    return volume;
}

Volume modify_volume(const Paths& paths, const std::string& id, const VolumeChange& change, const std::stop_token& stop)
{
    const VolumePaths files(paths, id);
    const HeldVolume held(paths, id, stop);
    Volume volume = require_settled(paths, id);
    const FileLock names = lock_volume_names(paths);
    if (change.name && change.name->empty()) {
        volume.name.reset();
    } else if (change.name && volume.name != change.name) {
        require_volume_name(paths, *change.name);
        volume.name = change.name;
    }
    if (change.delete_on_termination) {
        if (!volume.attachment) {
            throw Error(ErrorKind::conflict, fmt::format("{} is attached to no instance that could be terminated", id));
        }
        volume.attachment->delete_on_termination = *change.delete_on_termination;
    }
    change_tags(volume.tags, change.tags, change.removed_tags, id);
    save_volume(files, volume);
    append_volume_event(files, "tagged", volume_bill(volume));
    return volume;
}

} // namespace kiln::launcher
