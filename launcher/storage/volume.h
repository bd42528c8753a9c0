// SPDX-License-Identifier: Apache-2.0
// A volume: a disk with an id of its own, which outlives the instance that it is attached to. It is a folder,
// volumes/vol-.../{volume.json,events.jsonl,disk.qcow2,...}; of a deleted one ended/vol-.../{volume.json,events.jsonl}
// stay, from which the bill is made. Words and states are EC2's.
//
// Its record alone says which instance it is attached to. That instance may be gone: then the volume is free.
#pragma once

#include "core/byte_size.h"
#include "core/json.h"
#include "core/paths.h"
#include "launcher/instance.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

enum class VolumeState { creating, available, in_use, deleting };
[[nodiscard]] std::string_view name_of(VolumeState state) noexcept; // "in-use"

// Busy: the guest was asked to let go of it and has not.
enum class AttachmentState { attaching, attached, detaching, busy };
[[nodiscard]] std::string_view name_of(AttachmentState state) noexcept;

struct Attachment {
    std::string instance_id;
    std::string device; // "/dev/sdf"; what the guest calls it is the guest's matter
    AttachmentState state = AttachmentState::attached;
    bool delete_on_termination = false;
    std::string since; // ISO 8601
    // In the place of one of the AMI's block devices, the how manieth: such a volume is there from the start and is
    // detached while the instance is stopped. None: it can come and go while the guest runs.
    std::optional<unsigned> mapping{};
};

// What a volume was made of.
struct VolumeSource {
    std::string image_id;
    std::string device;
};

struct Volume {
    std::string id;                  // "vol-" and 17 hex digits
    std::optional<std::string> name; // unique among the volumes that exist
    VolumeState state = VolumeState::available;
    ByteSize size;
    std::string type = "gp3"; // EC2's; kept and shown, and as fast as the host all the same
    bool encrypted = false;   // of the AMI's: LUKS2 around all that is on it; the key is in its root volume
    Tags tags;
    std::string created; // ISO 8601
    std::optional<VolumeSource> source;
    std::optional<Attachment> attachment;
};

[[nodiscard]] Json to_json(const Volume& volume);
[[nodiscard]] Volume volume_from_json(const Json& json); // throws Error{io}

// What the guest finds below /dev/disk/by-id, as "virtio-vol0123456789abcdef0": EC2's form, and the 20 bytes that a
// virtio disk's serial number may have.
[[nodiscard]] std::string volume_serial(std::string_view id);

// A multiple of 512 bytes, from 1 MiB to 64 TiB. Throws Error{usage}.
void require_volume_size(ByteSize size);
// A device for a volume beside the AMI's own: /dev/sdb to /dev/sdz, or the same with xvd or vd. Throws Error{usage}.
void require_volume_device(const std::string& device);
// The letter of a device: /dev/sdf, /dev/xvdf and /dev/vdf are one to a guest of EC2's.
[[nodiscard]] char device_letter(std::string_view device);

struct VolumePaths {
    VolumePaths(const Paths& paths, std::string_view id);

    std::filesystem::path folder;
    std::filesystem::path ended; // what becomes of `folder` when it is deleted
    std::filesystem::path record;
    std::filesystem::path events;
    std::filesystem::path disk; // qcow2 without a backing-file string; the lowest of its files (volume_chain.h)
    std::filesystem::path lock; // held by who changes it
};

// All but the deleted ones, oldest first. One whose instance is gone is shown as available.
[[nodiscard]] std::vector<Volume> list_volumes(const Paths& paths);
// By id or name. Throws Error{not_found} with what there is.
[[nodiscard]] Volume resolve_volume(const Paths& paths, std::string_view reference);

inline constexpr std::array<std::string_view, 7> volume_types{"gp2", "gp3", "io1", "io2", "sc1", "st1", "standard"};

struct NewVolume {
    ByteSize size;
    std::string type = "gp3"; // one of volume_types
    std::optional<std::string> name{};
    Tags tags{};
};
// Empty. Throws Error{usage}, {conflict} for a name that is taken, {no_space, io}.
Volume create_volume(const Paths& paths, const NewVolume& request, const std::stop_token& stop);

// The following change one volume and, where it is attached, wait for other commands on its instance. They work from
// where a killed command left off. Each throws Error{not_found} when the volume is gone, {conflict} when its state
// forbids it, {launch} when QEMU refuses, and returns the volume as it is then.

struct AttachRequest {
    std::string instance_id;
    std::optional<std::string> device{}; // none: the first free one from /dev/sdf on
    bool delete_on_termination = false;
};
// To a running instance (its guest sees it at once) or a stopped one (it sees it when it starts).
Volume attach_volume(const Paths& paths, const std::string& id, const AttachRequest& request,
                     const std::stop_token& stop);

struct DetachRequest {
    std::chrono::seconds patience{30}; // for the guest to let go of it
    bool force = false;                // then take it away all the same: the guest sees errors
};
// Throws Error{launch} when the guest has not let go of it: it stays attached, as busy.
Volume detach_volume(const Paths& paths, const std::string& id, const DetachRequest& request,
                     const std::stop_token& stop);

// Only larger. A running guest is told.
Volume resize_volume(const Paths& paths, const std::string& id, ByteSize size, const std::stop_token& stop);

// Its content is gone then. Only of an available one.
void delete_volume(const Paths& paths, const std::string& id, const std::stop_token& stop);

struct VolumeChange {
    std::optional<std::string> name{};           // empty: none
    std::optional<bool> delete_on_termination{}; // of an attached one
    Tags tags{};                                 // added, or with other values
    std::vector<std::string> removed_tags{};
};
Volume modify_volume(const Paths& paths, const std::string& id, const VolumeChange& change,
                     const std::stop_token& stop);

} // namespace kiln::launcher
