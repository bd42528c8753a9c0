// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/point_in_time.h"

#include "core/error.h"
#include "launcher/qemu_command.h"

#include <fmt/format.h>

#include <optional>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds transaction_limit{10};

// The overlays as QEMU's nodes and on the record; taken back unless they are switched to.
class NewTops
{
public:
    NewTops(const InstancePaths& paths, const Instance& instance, QmpClient& qmp)
        : paths_(paths), before_(instance), qmp_(qmp), tops_(make_overlays(paths, instance))
    {
        try {
            for (std::size_t i = 0; i < tops_.size(); ++i) {
                qmp_.execute("blockdev-add", qcow2_node(overlay_node(i, tops_[i]), tops_[i], false, ""));
                ++added_;
            }
            update_record(paths_, [this](Instance& now) { push_overlays(now, tops_); });
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
            actions.push_back(
                {{"type", "blockdev-snapshot"},
                 {"data",
                  {{"node", overlay_node(i, before_.disks[i].overlay)}, {"overlay", overlay_node(i, tops_[i])}}}});
        }
        qmp_.execute("transaction", {{"actions", actions}}, transaction_limit);
        switched_ = true;
    }

private:
    // QEMU is asked, as a transaction whose answer did not come may have happened.
    void take_back() noexcept
    {
        try {
            static_cast<void>(reconcile_overlays(paths_, qmp_));
            for (std::size_t i = 0; i < added_; ++i) {
                try {
                    qmp_.execute("blockdev-del", {{"node-name", overlay_node(i, tops_[i])}});
                } catch (const Error&) { // it is in use, or gone
                }
            }
        } catch (...) { // QEMU has ended: the record is right as it is, with empty overlays on top
        }
    }

    const InstancePaths& paths_;
    const Instance& before_;
    QmpClient& qmp_;
    std::vector<fs::path> tops_;
    std::size_t added_ = 0;
    bool switched_ = false;
};

} // namespace

PointInTime take_point_in_time(const InstancePaths& paths, QmpClient& qmp, GuestAgent& agent, bool freeze,
                               const std::function<bool()>& cancelled)
{
    const Instance instance = load_record(paths);
    PointInTime taken;
    for (const InstanceDisk& disk : instance.disks) {
        taken.overlays.push_back(overlays_of(disk));
    }
    NewTops tops(paths, instance, qmp);
    if (!freeze) {
        tops.switch_to();
        taken.consistency.reason = "asked for with --no-freeze";
        return taken;
    }
    GuestFreeze guest(agent, cancelled);
    tops.switch_to();
    guest.thaw();
    taken.consistency = guest.consistency();
    return taken;
}

} // namespace kiln::launcher
