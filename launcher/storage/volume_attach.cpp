// SPDX-License-Identifier: Apache-2.0
// Volumes come to instances and go. The record is changed before QEMU is asked and after it has answered, so that
// whoever finds it half done sees what was meant, and asks QEMU what became of it.
#include "core/error.h"
#include "core/timestamp.h"
#include "launcher/storage/volume_holder.h"
#include "launcher/storage/volume_plug.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds supervisor_answer_limit{40};
constexpr std::string_view volume_answer = "the supervisor's answer";

// Asks the supervisor for a change of the volume.
Json ask_for_volume(const HeldVolume& held, const std::string& id, const char* change, milliseconds patience,
                    bool force, const std::stop_token& stop)
{
    return held.ask({{"request", "volume"},
                     {"change", change},
                     {"volume_id", id},
                     {"patience_ms", patience.count()},
                     {"force", force}},
                    patience + supervisor_answer_limit, stop);
}

void set_free(const VolumePaths& files, Volume& volume)
{
    append_volume_event(files, "detached", {{"instance_id", volume.attachment->instance_id}});
    volume.attachment.reset();
    volume.state = VolumeState::available;
    save_volume(files, volume);
}

// Whether the guest has the volume of a command that was killed; where it has not, QEMU has closed its file then.
bool guest_has(const HeldVolume& held, const Volume& volume, const std::stop_token& stop)
{
    const bool was_to_come = volume.attachment->state == AttachmentState::attaching;
    if (!held.runs()) {
        return was_to_come; // at its next start
    }
    if (was_to_come &&
        bool_member(ask_for_volume(held, volume.id, "look", {}, false, stop), "attached", volume_answer)) {
        return true;
    }
    return !bool_member(ask_for_volume(held, volume.id, "detach", {}, false, stop), "gone", volume_answer);
}

void settle_attachment(const HeldVolume& held, const VolumePaths& files, Volume& volume, const std::stop_token& stop)
{
    if (!volume.attachment || volume.attachment->state == AttachmentState::attached) {
        return;
    }
    if (!guest_has(held, volume, stop)) {
        set_free(files, volume);
        return;
    }
    volume.attachment->state =
        volume.attachment->state == AttachmentState::attaching ? AttachmentState::attached : AttachmentState::busy;
    save_volume(files, volume);
}

Volume settle_held(const Paths& paths, const HeldVolume& held, const std::string& id, const std::stop_token& stop)
{
    std::optional<Volume> volume = settle_volume(paths, id);
    if (!volume) {
        throw Error(ErrorKind::not_found, fmt::format("the volume {} was being deleted, and is now", id));
    }
    settle_attachment(held, VolumePaths(paths, id), *volume, stop);
    return std::move(*volume);
}

// The device that was asked for if it is free, else the first one that EC2 advises.
std::string free_device(const Instance& instance, const std::optional<std::string>& wanted)
{
    const auto has = [](const std::vector<InstanceDisk>& disks, char letter) {
        return std::ranges::any_of(disks,
                                   [&](const InstanceDisk& disk) { return device_letter(disk.device) == letter; });
    };
    const auto taken = [&](char letter) { return has(instance.disks, letter) || has(instance.volumes, letter); };
    if (wanted) {
        if (taken(device_letter(*wanted))) {
            throw Error(ErrorKind::conflict, fmt::format("the device {} of {} is taken", *wanted, instance.id),
                        fmt::format("`kiln instance show {}` lists its devices", instance.id));
        }
        return *wanted;
    }
    for (char letter = 'f'; letter <= 'z'; ++letter) {
        if (!taken(letter)) {
            return fmt::format("/dev/sd{}", letter);
        }
    }
    throw Error(ErrorKind::conflict, fmt::format("no device of {} is free", instance.id));
}

void require_attachable(const Instance& instance)
{
    if (instance.state != InstanceState::running && instance.state != InstanceState::stopped) {
        throw Error(ErrorKind::conflict, fmt::format("IncorrectState: {} is {}", instance.id, name_of(instance.state)),
                    "a running or stopped instance takes a volume");
    }
    if (instance.volumes.size() >= hot_ports) {
        throw Error(ErrorKind::conflict,
                    fmt::format("{} has {} volumes, and no place for another", instance.id, instance.volumes.size()),
                    "detach one first");
    }
}

} // namespace

Volume attach_volume(const Paths& paths, const std::string& id, const AttachRequest& request,
                     const std::stop_token& stop)
{
    if (request.device) {
        require_volume_device(*request.device);
    }
    const VolumePaths files(paths, id);
    { // what a killed command left may be with another instance
        const HeldVolume held(paths, id, stop);
        static_cast<void>(settle_held(paths, held, id, stop));
    }
    const HeldVolume held(paths, id, stop, request.instance_id);
    Volume volume = settle_held(paths, held, id, stop);
    if (volume.attachment) {
        throw Error(ErrorKind::conflict,
                    fmt::format("VolumeInUse: {} is attached to {}", id, volume.attachment->instance_id),
                    fmt::format("`kiln volume detach {}` first", id));
    }
    const Instance instance = with_volumes(paths, held.instance().value());
    require_attachable(instance);
    require_sound_disk(files);
    volume.attachment = Attachment{.instance_id = instance.id,
                                   .device = free_device(instance, request.device),
                                   .state = held.runs() ? AttachmentState::attaching : AttachmentState::attached,
                                   .delete_on_termination = request.delete_on_termination,
                                   .since = iso_now()};
    volume.state = VolumeState::in_use;
    save_volume(files, volume);
    append_volume_event(files, "attached", {{"instance_id", instance.id}, {"device", volume.attachment->device}});
    if (!held.runs()) {
        return volume;
    }
    try {
        static_cast<void>(ask_for_volume(held, id, "attach", {}, false, stop));
    } catch (const Error&) {
        try { // it may have come to the guest all the same
            settle_attachment(held, files, volume, {});
        } catch (const Error&) { // the next command on it looks again
        }
        throw;
    }
    volume.attachment->state = AttachmentState::attached;
    save_volume(files, volume);
    return volume;
}

Volume detach_volume(const Paths& paths, const std::string& id, const DetachRequest& request,
                     const std::stop_token& stop)
{
    const VolumePaths files(paths, id);
    const HeldVolume held(paths, id, stop);
    const bool was_leaving = [&] {
        const auto before = load_volume(files).attachment;
        return before && (before->state == AttachmentState::detaching || before->state == AttachmentState::busy);
    }();
    Volume volume = settle_held(paths, held, id, stop);
    if (!volume.attachment) {
        if (was_leaving) { // and has gone since
            return volume;
        }
        throw Error(ErrorKind::conflict, fmt::format("IncorrectState: {} is attached to no instance", id));
    }
    if (volume.attachment->mapping == 0U) {
        throw Error(ErrorKind::conflict, fmt::format("{} is the root volume of {}", id, volume.attachment->instance_id),
                    "terminate the instance: the volume stays when its delete_on_termination is false");
    }
    if (!held.runs()) {
        set_free(files, volume);
        return volume;
    }
    if (volume.attachment->mapping) {
        throw Error(ErrorKind::conflict,
                    fmt::format("{} is one of the devices that {} was launched with", id, held.instance()->id),
                    fmt::format("`kiln instance stop {}` first", held.instance()->id));
    }
    volume.attachment->state = AttachmentState::detaching;
    save_volume(files, volume);
    const Json answer = ask_for_volume(held, id, "detach", request.patience, request.force, stop);
    if (!bool_member(answer, "gone", volume_answer)) {
        volume.attachment->state = AttachmentState::busy;
        save_volume(files, volume);
        throw Error(ErrorKind::launch,
                    fmt::format("the guest of {} has not let go of {} within {} s", held.instance()->id, id,
                                request.patience.count()),
                    "unmount it there and try again; --force takes it away all the same, and what the guest has not "
                    "written is lost");
    }
    set_free(files, volume);
    return volume;
}

} // namespace kiln::launcher
