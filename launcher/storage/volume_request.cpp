// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_request.h"

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/storage/volume_plug.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kiln::launcher
{
namespace
{

bool is_volume_type(std::string_view type)
{
    return std::ranges::find(volume_types, type) != volume_types.end();
}

[[noreturn]] void refuse_request(const std::string& text, std::string_view why)
{
    throw Error(ErrorKind::usage, fmt::format("--volume \"{}\" {}", printable(text, false), why),
                "for example /dev/vda=8GiB, /dev/sdf=10GiB,delete-on-termination=no or /dev/sdf=vol-...");
}

VolumeRequest parse_request(const std::string& text, std::string_view words)
{
    VolumeRequest request;
    bool first = true;
    for (;;) {
        const auto comma = words.find(',');
        const std::string word(words.substr(0, comma));
        if (first && !word.empty()) {
            request.size = parse_byte_size(word);
            if (!request.size) {
                request.volume = word;
            }
        } else if (word == "delete-on-termination=yes" || word == "delete-on-termination=no") {
            request.delete_on_termination = word.ends_with("yes");
        } else if (!first) {
            refuse_request(text, fmt::format("has an option \"{}\" that there is not", printable(word, false)));
        }
        first = false;
        if (comma == std::string_view::npos) {
            return request;
        }
        words.remove_prefix(comma + 1);
    }
}

void require_mapped(const bundle::BlockDeviceMapping& mapping, const VolumeRequest& request)
{
    if (request.size && *request.size < mapping.size) {
        throw Error(ErrorKind::usage,
                    fmt::format("the AMI's volume {} has {}, and {} is smaller", mapping.device,
                                to_string(mapping.size), to_string(*request.size)),
                    "a volume can only grow");
    }
    if (request.size && *request.size != mapping.size) {
        require_volume_size(*request.size);
    }
}

void require_extra(const std::string& device, const VolumeRequest& request, std::set<char>& letters,
                   const std::vector<std::string>& devices)
{
    if (!request.size && !request.volume) {
        throw Error(ErrorKind::usage, fmt::format("the AMI has no volume {}", printable(device, false)),
                    fmt::format("its volumes are {}; a new one needs a size", join(devices, ", ")));
    }
    require_volume_device(device);
    if (request.size) {
        require_volume_size(*request.size);
    }
    if (!letters.insert(device_letter(device)).second) {
        throw Error(ErrorKind::usage, fmt::format("the device {} is taken by another volume", device),
                    fmt::format("the AMI's volumes are {}", join(devices, ", ")));
    }
}

const bundle::BlockDeviceMapping* find_mapping(const std::vector<bundle::BlockDeviceMapping>& mappings,
                                               const std::string& device)
{
    const auto found = std::ranges::find(mappings, device, &bundle::BlockDeviceMapping::device);
    return found == mappings.end() ? nullptr : &*found;
}

PlannedVolume plan_volume(const Paths& paths, const std::string& device, const VolumeRequest& request,
                          bool delete_on_termination)
{
    PlannedVolume planned;
    planned.is_new = !request.volume;
    if (request.volume) {
        planned.volume = resolve_volume(paths, *request.volume);
    } else {
        planned.volume.id = random_resource_id("vol-");
        planned.volume.state = VolumeState::creating;
        planned.volume.size = request.size.value_or(ByteSize());
        planned.volume.created = iso_now();
    }
    planned.volume.attachment =
        Attachment{.instance_id = {},
                   .device = device,
                   .state = AttachmentState::attached,
                   .delete_on_termination = request.delete_on_termination.value_or(delete_on_termination),
                   .since = iso_now()};
    return planned;
}

} // namespace

VolumeRequests parse_volume_requests(const std::vector<std::string>& texts)
{
    VolumeRequests requests;
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            refuse_request(text, "is not DEVICE=SIZE or DEVICE=VOLUME");
        }
        const VolumeRequest request = parse_request(text, std::string_view(text).substr(equals + 1));
        if (!request.size && !request.volume && !request.delete_on_termination) {
            refuse_request(text, "asks for nothing");
        }
        if (!requests.emplace(text.substr(0, equals), request).second) {
            refuse_request(text, "names a device again");
        }
    }
    return requests;
}

void require_volume_requests(const std::vector<bundle::BlockDeviceMapping>& mappings, const VolumeRequests& requests)
{
    std::set<char> letters;
    std::vector<std::string> devices;
    for (const bundle::BlockDeviceMapping& mapping : mappings) {
        letters.insert(device_letter(mapping.device));
        devices.push_back(mapping.device);
    }
    std::set<std::string> existing;
    unsigned extra = 0;
    for (const auto& [device, request] : requests) {
        if (const bundle::BlockDeviceMapping* mapping = find_mapping(mappings, device)) {
            require_mapped(*mapping, request);
        } else {
            if (++extra > hot_ports) {
                throw Error(ErrorKind::usage, fmt::format("an instance takes {} volumes beside its AMI's", hot_ports));
            }
            require_extra(device, request, letters, devices);
        }
        if (request.volume && !existing.insert(*request.volume).second) {
            throw Error(ErrorKind::usage,
                        fmt::format("the volume {} is named twice", printable(*request.volume, false)));
        }
    }
}

PlannedStorage plan_storage(const Paths& paths, const std::vector<bundle::BlockDeviceMapping>& mappings,
                            const VolumeRequests& requests, const LayersOf& layers_of)
{
    PlannedStorage storage;
    for (std::size_t i = 0; i < mappings.size(); ++i) {
        const bundle::BlockDeviceMapping& mapping = mappings[i];
        const auto found = requests.find(mapping.device);
        VolumeRequest request = found == requests.end() ? VolumeRequest{} : found->second;
        const bool delete_on_termination = request.delete_on_termination.value_or(mapping.delete_on_termination);
        request.size = request.size.value_or(mapping.size);
        if (!request.volume && delete_on_termination) {
            storage.disks.push_back({.device = mapping.device,
                                     .size = *request.size,
                                     .delete_on_termination = true,
                                     .overlay = {},
                                     .layers = layers_of(mapping)});
            continue;
        }
        // One that existed before is not the AMI's to delete.
        PlannedVolume planned =
            plan_volume(paths, mapping.device, request, request.volume ? false : delete_on_termination);
        planned.volume.attachment->mapping = static_cast<unsigned>(i);
        if (planned.is_new) {
            planned.volume.type = is_volume_type(mapping.volume_type) ? mapping.volume_type : "gp3";
            planned.volume.encrypted = mapping.encrypted;
            planned.layers = layers_of(mapping);
        }
        storage.volumes.push_back(std::move(planned));
    }
    for (const auto& [device, request] : requests) {
        if (find_mapping(mappings, device) == nullptr) {
            storage.volumes.push_back(plan_volume(paths, device, request, !request.volume));
        }
    }
    return storage;
}

} // namespace kiln::launcher
