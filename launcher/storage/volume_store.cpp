// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_store.h"

#include "core/error.h"
#include "core/qcow2_header.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/instance_store.h"
#include "launcher/life/life_lock.h"
#include "launcher/storage/volume_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <tuple>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds volume_lock_limit{30};

bool is_volume_name(std::string_view name)
{
    const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, inner) && name.front() != '-' &&
           name.back() != '-' && !name.starts_with("vol-");
}

bool instance_exists(const Paths& paths, const Attachment& attachment)
{
    return fs::exists(InstancePaths(paths, attachment.instance_id).record);
}

// Without a launch that is at work on it, and without its instance, a volume is free.
Volume volume_as_seen(const Paths& paths, const std::string& id)
{
    Volume volume = load_volume(VolumePaths(paths, id));
    if (volume.state == VolumeState::in_use && volume.attachment && !instance_exists(paths, *volume.attachment)) {
        volume.state = VolumeState::available;
        volume.attachment.reset();
    }
    return volume;
}

// From its header; nullopt when it is not sound.
std::optional<ByteSize> size_in_header(const fs::path& file)
{
    try {
        const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        struct stat status {
        };
        if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
            return std::nullopt;
        }
        return require_safe_qcow2(read_at(fd.get(), 0, qcow2_header_bytes, "reading a volume's header"),
                                  ByteSize(static_cast<std::uint64_t>(status.st_size)))
            .virtual_size;
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool is_attaching(const Attachment& attachment)
{
    return attachment.state == AttachmentState::attaching || attachment.state == AttachmentState::attached;
}

} // namespace

InstanceDisk disk_of(const Paths& paths, const Volume& volume)
{
    std::vector<fs::path> files = volume_chain(VolumePaths(paths, volume.id));
    InstanceDisk disk{.device = volume.attachment->device,
                      .size = volume.size,
                      .delete_on_termination = volume.attachment->delete_on_termination,
                      .overlay = std::move(files.back()),
                      .layers = {},
                      .volume_id = volume.id};
    files.pop_back();
    disk.lower = std::move(files);
    return disk;
}

Volume load_volume(const VolumePaths& paths)
{
    Volume volume = volume_from_json(parse_json(read_file(paths.record, mebibytes(1)), paths.record.native()));
    if (volume.id != paths.folder.filename()) {
        throw Error(ErrorKind::io, fmt::format("{} is the record of another volume", paths.record.native()));
    }
    return volume;
}

void save_volume(const VolumePaths& paths, const Volume& volume)
{
    write_file_durably(paths.record, to_json(volume).dump(2) + "\n", 0600);
}

void append_volume_event(const VolumePaths& paths, std::string_view event, const Json& detail)
{
    append_event_line(paths.events, event, detail);
}

Json volume_bill(const Volume& volume)
{
    return {{"bytes", volume.size.bytes()}, {"name", volume.name ? Json(*volume.name) : Json()}, {"tags", volume.tags}};
}

FileLock lock_volume(const VolumePaths& paths, const std::stop_token& stop)
{
    const std::string id = paths.folder.filename();
    const auto require_there = [&] { // the lock would be made anew
        if (!fs::exists(paths.record)) {
            throw Error(ErrorKind::not_found, fmt::format("there is no volume {}", id),
                        "`kiln volume list` shows what there is");
        }
    };
    require_there();
    FileLock lock =
        lock_within(paths.lock, volume_lock_limit, fmt::format("another command is at work on {}", id), stop);
    require_there();
    return lock;
}

std::optional<Volume> settle_volume(const Paths& paths, const std::string& id)
{
    const VolumePaths files(paths, id);
    Volume volume = load_volume(files);
    if (volume.state == VolumeState::deleting) {
        bury_volume(paths, volume);
        return std::nullopt;
    }
    const bool free = volume.attachment && !instance_exists(paths, *volume.attachment);
    if (volume.state == VolumeState::creating && free) { // its launch came to nothing, and it was never used
        fs::remove_all(files.folder);
        return std::nullopt;
    }
    if (volume.state == VolumeState::creating) { // the launch was killed after its instance was there
        append_volume_event(files, "created", volume_bill(volume));
        volume.state = VolumeState::in_use;
        save_volume(files, volume);
    }
    if (free) {
        append_volume_event(files, "detached", {{"instance_id", volume.attachment->instance_id}});
        volume.state = VolumeState::available;
        volume.attachment.reset();
        save_volume(files, volume);
    }
    if (const auto size = size_in_header(volume_chain(files).back());
        size && volume.size < *size) { // a resize was killed
        volume.size = *size;
        save_volume(files, volume);
        append_volume_event(files, "resized", volume_bill(volume));
    }
    return volume;
}

FileLock lock_volume_names(const Paths& paths)
{
    return {paths.home / "volumes.lock", FileLock::Wait::block};
}

void require_volume_name(const Paths& paths, const std::string& name)
{
    if (!is_volume_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a volume name", printable(name, false)),
                    "use up to 63 lower-case letters, digits and inner hyphens, not starting with vol-");
    }
    for (const Volume& volume : list_volumes(paths)) {
        if (volume.name == name) {
            throw Error(ErrorKind::conflict, fmt::format("the name {} is taken by the volume {}", name, volume.id),
                        "choose another name");
        }
    }
}

ByteSize disk_size(const fs::path& file)
{
    const auto size = size_in_header(file);
    if (!size) {
        throw Error(ErrorKind::damaged,
                    fmt::format("the disk of {} is missing or no sound qcow2", file.parent_path().filename().native()),
                    fmt::format("`qemu-img check -f qcow2 {}` tells more", file.native()));
    }
    return *size;
}

void require_sound_disk(const VolumePaths& paths)
{
    for (const fs::path& file : volume_chain(paths)) {
        static_cast<void>(disk_size(file));
    }
}

void require_sound_volumes(const Paths& paths, const Instance& instance)
{
    for (const std::vector<InstanceDisk>* disks : {&instance.disks, &instance.volumes}) {
        for (const InstanceDisk& disk : *disks) {
            if (!disk.volume_id.empty()) {
                require_sound_disk(VolumePaths(paths, disk.volume_id));
            }
        }
    }
}

void sweep_volumes(const Paths& paths)
{
    for (const Volume& volume : list_volumes(paths)) {
        if (volume.state != VolumeState::creating) {
            continue;
        }
        try {
            const FileLock lock(VolumePaths(paths, volume.id).lock, FileLock::Wait::fail, "it is being launched");
            static_cast<void>(settle_volume(paths, volume.id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict && error.kind() != ErrorKind::not_found) {
                throw;
            }
        }
    }
}

std::vector<Volume> volumes_of(const std::vector<Volume>& volumes, std::string_view instance_id)
{
    std::vector<Volume> found;
    std::ranges::copy_if(volumes, std::back_inserter(found), [&](const Volume& volume) {
        return volume.attachment && volume.attachment->instance_id == instance_id && is_attaching(*volume.attachment) &&
               volume.state != VolumeState::deleting;
    });
    std::ranges::sort(found, {}, [](const Volume& volume) { return std::tie(volume.attachment->device, volume.id); });
    return found;
}

Instance with_volumes(const Paths& paths, Instance instance, const std::vector<Volume>& volumes)
{
    std::vector<Volume> mapped;
    for (const Volume& volume : volumes_of(volumes, instance.id)) {
        if (volume.attachment->mapping) {
            mapped.push_back(volume);
        } else {
            instance.volumes.push_back(disk_of(paths, volume));
        }
    }
    std::ranges::sort(mapped, {}, [](const Volume& volume) { return *volume.attachment->mapping; });
    for (const Volume& volume : mapped) { // where the AMI has it, also before the first of the others
        const std::size_t place = std::min<std::size_t>(*volume.attachment->mapping, instance.disks.size());
        instance.disks.insert(instance.disks.begin() + static_cast<std::ptrdiff_t>(place), disk_of(paths, volume));
    }
    return instance;
}

Instance with_volumes(const Paths& paths, Instance instance)
{
    return with_volumes(paths, std::move(instance), list_volumes(paths));
}

std::vector<Volume> list_volumes(const Paths& paths)
{
    std::vector<Volume> volumes;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(paths.home / "volumes", ignored)) {
        const std::string id = entry.path().filename();
        if (!is_resource_id("vol-", id)) {
            continue;
        }
        try {
            volumes.push_back(volume_as_seen(paths, id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                throw;
            }
        }
    }
    std::ranges::sort(volumes, {}, [](const Volume& volume) { return std::tie(volume.created, volume.id); });
    return volumes;
}

Volume resolve_volume(const Paths& paths, std::string_view reference)
{
    std::vector<std::string> known;
    for (Volume& volume : list_volumes(paths)) {
        if (volume.id == reference || volume.name == reference) {
            return std::move(volume);
        }
        known.push_back(volume.id);
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no volume {}", printable(reference, false)),
                known.empty() ? "there is none at all; `kiln volume create --size 8GiB` makes one"
                              : fmt::format("`kiln volume list` shows them: {}", join(known, ", ")));
}

void bury_volume(const Paths& paths, Volume volume)
{
    const VolumePaths files(paths, volume.id);
    volume.state = VolumeState::deleting;
    volume.attachment.reset();
    save_volume(files, volume);
    append_volume_event(files, "deleted", Json::object());
    std::vector<fs::path> contents;
    for (const fs::directory_entry& entry : fs::directory_iterator(files.folder)) {
        if (entry.path() != files.record && entry.path() != files.events && entry.path() != files.lock) {
            contents.push_back(entry.path()); // of its disk
        }
    }
    for (const fs::path& file : contents) {
        fs::remove(file);
    }
    make_directories(files.ended.parent_path(), 0700);
    fs::rename(files.folder, files.ended);
    sync_directory(files.ended.parent_path());
    sync_directory(files.folder.parent_path());
    std::error_code ignored;
    fs::remove(files.ended / files.lock.filename(), ignored);
}

void release_volumes(const Paths& paths, const std::string& instance_id)
{
    for (const Volume& seen : list_volumes(paths)) {
        if (!seen.attachment || seen.attachment->instance_id != instance_id) {
            continue;
        }
        const VolumePaths files(paths, seen.id);
        try {
            const FileLock lock = lock_volume(files, {});
            std::optional<Volume> volume = settle_volume(paths, seen.id);
            if (!volume || !volume->attachment || volume->attachment->instance_id != instance_id) {
                continue;
            }
            if (volume->attachment->delete_on_termination) {
                bury_volume(paths, *volume);
                continue;
            }
            append_volume_event(files, "detached", {{"instance_id", instance_id}});
            volume->attachment.reset();
            volume->state = VolumeState::available;
            save_volume(files, *volume);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                throw;
            }
        }
    }
}

} // namespace kiln::launcher
