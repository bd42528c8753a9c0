// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/point_in_time.h"

#include "core/error.h"
#include "launcher/qemu_command.h"
#include "launcher/storage/block_nodes.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <memory>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds transaction_limit{10};

// The overlays as QEMU's nodes and on the records; taken back unless they are switched to.
class NewTops
{
public:
    NewTops(const Paths& home, const InstancePaths& paths, const std::vector<OwnDisk>& disks, QmpClient& qmp)
        : home_(home), paths_(paths), disks_(disks), qmp_(qmp), tops_(make_overlays(disks))
    {
        try {
            for (std::size_t i = 0; i < tops_.size(); ++i) {
                add_node(qmp_, top_overlay_node(disks_[i].node, tops_[i], ""));
            }
            push_overlays(home_, paths_, disks_, tops_);
        } catch (...) {
            take_back();
            throw;
        }
    }
    NewTops(const NewTops&) = delete;
    NewTops& operator=(const NewTops&) = delete;
    ~NewTops()
    {
        if (!switched_) {
            take_back();
        }
    }

    void switch_to()
    {
        Json actions = Json::array();
        for (std::size_t i = 0; i < tops_.size(); ++i) {
            const auto& [disk, node] = disks_[i];
            actions.push_back(
                {{"type", "blockdev-snapshot"},
                 {"data", {{"node", overlay_node(node, disk.overlay)}, {"overlay", overlay_node(node, tops_[i])}}}});
        }
        qmp_.execute("transaction", {{"actions", actions}}, transaction_limit);
        switched_ = true;
    }

private:
    // QEMU is asked, as a transaction whose answer did not come may have happened.
    void take_back() noexcept
    {
        try {
            reconcile_overlays(home_, paths_, qmp_);
        } catch (...) { // QEMU has ended: the records are right as they are, with empty overlays on top
        }
    }

    const Paths& home_;
    const InstancePaths& paths_;
    const std::vector<OwnDisk>& disks_;
    QmpClient& qmp_;
    std::vector<fs::path> tops_;
    bool switched_ = false;
};

// A volume may be on its way to the guest, or have been taken from it.
void keep_what_the_guest_has(std::vector<OwnDisk>& disks, QmpClient& qmp)
{
    std::vector<std::string> names;
    std::ranges::transform(disks, std::back_inserter(names), &OwnDisk::node);
    const auto tops = top_nodes(qmp, names);
    std::erase_if(disks, [&](const OwnDisk& own) { return !tops.contains(own.node); });
}

} // namespace

void take_point_in_time(const Paths& home, const InstancePaths& paths, std::vector<OwnDisk> disks, QmpClient& qmp,
                        GuestAgent& agent, bool freeze, const std::function<bool()>& cancelled,
                        const std::function<void(const PointInTime&)>& taken)
{
    // The guest prepares itself while the overlays are made.
    auto preparing = std::async(freeze ? std::launch::async : std::launch::deferred,
                                [&] { return std::make_unique<GuestFreeze>(agent, cancelled); });
    keep_what_the_guest_has(disks, qmp);
    PointInTime point;
    for (const auto& [disk, node] : disks) {
        point.disks.push_back({disk.device, disk_size(disk.overlay), overlays_of(disk)});
    }
    NewTops tops(home, paths, disks, qmp);
    if (!freeze) {
        tops.switch_to();
        point.consistency.reason = "asked for with --no-freeze";
        taken(point);
        return;
    }
    const std::unique_ptr<GuestFreeze> guest = preparing.get();
    guest->freeze();
    tops.switch_to();
    guest->thaw();
    point.consistency = guest->consistency();
    taken(point);
}

} // namespace kiln::launcher
