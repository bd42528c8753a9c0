// SPDX-License-Identifier: Apache-2.0
// What commands ask of a supervisor about volumes. Each request can be made again.
#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/qemu_command.h"
#include "launcher/storage/volume_plug.h"
#include "launcher/storage/volume_store.h"
#include "launcher/supervisor.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view volume_request = "the request";

} // namespace

Json Supervisor::change_volume(const Json& request, const std::function<bool()>& cancelled)
{
    const std::string id = string_member(request, "volume_id", volume_request);
    if (!is_resource_id("vol-", id)) {
        throw Error(ErrorKind::internal, fmt::format("{} is no volume's id", printable(id, false)));
    }
    const std::string change = string_member(request, "change", volume_request);
    // The change before may be that of a command that was killed, which is noticed soon.
    const auto one_at_a_time = hold_disks(std::chrono::seconds(5));
    VolumePlug plug(*qmp_);
    const VolumePaths files(home_, id);
    if (change == "attach") {
        require_sound_disk(files);
        plug.plug(disk_of(home_, load_volume(files)));
        return Json::object();
    }
    if (change == "detach") {
        const std::chrono::milliseconds patience(integer_member(request, "patience_ms", volume_request));
        bool gone = plug.unplug(id, patience, cancelled);
        if (!gone && bool_member(request, "force", volume_request)) {
            plug.cut_off(id);
            gone = true;
        }
        return {{"gone", gone}};
    }
    if (change == "look") {
        return {{"attached", plug.plugged(id)}};
    }
    if (change == "resize") {
        const auto disk = std::ranges::find(instance_.disks, id, &InstanceDisk::volume_id);
        plug.resize(disk == instance_.disks.end() ? id
                                                  : disk_node(static_cast<std::size_t>(disk - instance_.disks.begin())),
                    static_cast<std::uint64_t>(integer_member(request, "bytes", volume_request)));
        return Json::object();
    }
    throw Error(ErrorKind::internal, fmt::format("the supervisor knows no change {}", printable(change, false)));
}

} // namespace kiln::launcher
