// SPDX-License-Identifier: Apache-2.0
// A volume's record as JSON, and which words and sizes are valid.
#include "launcher/storage/volume.h"

#include "core/error.h"
#include "core/qcow2_header.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::launcher
{
namespace
{

constexpr int volume_schema = 1;
constexpr std::string_view volume_record = "volume.json";
constexpr std::array<std::string_view, 4> volume_states{"creating", "available", "in-use", "deleting"};
constexpr std::array<std::string_view, 4> attachment_states{"attaching", "attached", "detaching", "busy"};
constexpr ByteSize smallest_volume = mebibytes(1);
constexpr unsigned most_mappings = 64; // more than an AMI has

Json to_json(const Attachment& attachment)
{
    return {
        {"instance_id", attachment.instance_id}, {"device", attachment.device},
        {"state", name_of(attachment.state)},    {"delete_on_termination", attachment.delete_on_termination},
        {"attach_time", attachment.since},       {"mapping", attachment.mapping ? Json(*attachment.mapping) : Json()}};
}

template <typename Words> std::size_t index_of_word(const Words& words, const std::string& text, const char* key)
{
    const auto found = std::ranges::find(words, text);
    if (found == words.end()) {
        throw Error(ErrorKind::io, fmt::format("{}: \"{}\" has an unknown value", volume_record, key));
    }
    return static_cast<std::size_t>(found - words.begin());
}

std::string id_member(const Json& json, const char* key, std::string_view prefix)
{
    std::string id = string_member(json, key, volume_record);
    if (!is_resource_id(prefix, id)) {
        throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is no id", volume_record, key));
    }
    return id;
}

std::string time_member(const Json& json, const char* key)
{
    std::string time = string_member(json, key, volume_record);
    if (!is_iso_time(time)) {
        throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is no time", volume_record, key));
    }
    return time;
}

Attachment attachment_from_json(const Json& json)
{
    Attachment attachment;
    attachment.instance_id = id_member(json, "instance_id", "i-");
    attachment.device = string_member(json, "device", volume_record);
    attachment.state = static_cast<AttachmentState>(
        index_of_word(attachment_states, string_member(json, "state", volume_record), "state"));
    attachment.delete_on_termination = bool_member(json, "delete_on_termination", volume_record);
    attachment.since = time_member(json, "attach_time");
    if (!member(json, "mapping", volume_record).is_null()) {
        const std::int64_t mapping = integer_member(json, "mapping", volume_record);
        if (mapping < 0 || mapping > most_mappings) {
            throw Error(ErrorKind::io, fmt::format("{}: \"mapping\" is no place of a disk", volume_record));
        }
        attachment.mapping = static_cast<unsigned>(mapping);
    }
    return attachment;
}

} // namespace

std::string_view name_of(VolumeState state) noexcept
{
    return volume_states[static_cast<std::size_t>(state)];
}

std::string_view name_of(AttachmentState state) noexcept
{
    return attachment_states[static_cast<std::size_t>(state)];
}

Json to_json(const Volume& volume)
{
    return {{"schema", volume_schema},
            {"volume_id", volume.id},
            {"name", volume.name ? Json(*volume.name) : Json()},
            {"state", name_of(volume.state)},
            {"size", volume.size.bytes()},
            {"volume_type", volume.type},
            {"encrypted", volume.encrypted},
            {"tags", volume.tags},
            {"created", volume.created},
            {"source",
             volume.source ? Json{{"image_id", volume.source->image_id}, {"device", volume.source->device}} : Json()},
            {"attachment", volume.attachment ? to_json(*volume.attachment) : Json()}};
}

Volume volume_from_json(const Json& json)
{
    if (integer_member(json, "schema", volume_record) > volume_schema) {
        throw Error(ErrorKind::io, "the volume was made by a newer Kiln", "use that version of Kiln");
    }
    try {
        Volume volume;
        volume.id = id_member(json, "volume_id", "vol-");
        if (const Json& name = member(json, "name", volume_record); !name.is_null()) {
            volume.name = name.get<std::string>();
        }
        volume.state = static_cast<VolumeState>(
            index_of_word(volume_states, string_member(json, "state", volume_record), "state"));
        const std::int64_t size = integer_member(json, "size", volume_record);
        volume.type = string_member(json, "volume_type", volume_record);
        if (size < 0 || std::ranges::find(volume_types, volume.type) == volume_types.end()) {
            throw Error(ErrorKind::io, fmt::format("{}: it has no size and type of a volume", volume_record));
        }
        volume.size = ByteSize(static_cast<std::uint64_t>(size));
        volume.encrypted = bool_member(json, "encrypted", volume_record);
        volume.tags = member(json, "tags", volume_record).get<Tags>();
        volume.created = time_member(json, "created");
        if (const Json& source = member(json, "source", volume_record); !source.is_null()) {
            volume.source = VolumeSource{string_member(source, "image_id", volume_record),
                                         string_member(source, "device", volume_record)};
        }
        if (const Json& attachment = member(json, "attachment", volume_record); !attachment.is_null()) {
            volume.attachment = attachment_from_json(attachment);
        }
        return volume;
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::io, fmt::format("{} is malformed: {}", volume_record, error.what()));
    }
}

std::string volume_serial(std::string_view id)
{
    return fmt::format("vol{}", id.substr(4));
}

void require_volume_size(ByteSize size)
{
    if (size < smallest_volume || largest_foreign_disk < size || size.bytes() % 512 != 0) {
        throw Error(ErrorKind::usage, fmt::format("a volume can't have {}", to_string(size)),
                    fmt::format("use a multiple of 512 bytes, at least {}, at most {}", to_string(smallest_volume),
                                to_string(largest_foreign_disk)));
    }
}

void require_volume_device(const std::string& device)
{
    for (const std::string_view prefix : {"/dev/sd", "/dev/xvd", "/dev/vd"}) {
        if (device.starts_with(prefix) && device.size() == prefix.size() + 1 && device.back() >= 'b' &&
            device.back() <= 'z') {
            return;
        }
    }
    throw Error(ErrorKind::usage, fmt::format("{} is no device for a volume", printable(device, false)),
                "use /dev/sdf to /dev/sdp, as on EC2; b to z work, and xvd or vd instead of sd");
}

char device_letter(std::string_view device)
{
    return device.empty() ? '\0' : device.back();
}

VolumePaths::VolumePaths(const Paths& paths, std::string_view id)
    : folder(paths.home / "volumes" / id), ended(paths.home / "ended" / id), record(folder / "volume.json"),
      events(folder / "events.jsonl"), disk(folder / "disk.qcow2"), lock(folder / "volume.lock")
{
}

} // namespace kiln::launcher
