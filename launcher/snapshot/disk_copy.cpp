// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/disk_copy.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/qemu_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr ByteSize space_margin = mebibytes(256);

std::string target_node(std::size_t disk)
{
    return fmt::format("copy{}", disk);
}

// The guest's file systems, frozen. Thawed by thaw(), and by the destructor whatever happened: QEMU's
// and the agent's calls all have deadlines, so it is always reached.
class Frozen
{
public:
    Frozen(GuestAgent& agent, DiskCopies& copies) : agent_(agent)
    {
        try {
            // What is dirty is written before the freeze, which would have to wait for it.
            static_cast<void>(agent.exec({"sync"}, {}, seconds(60), [] { return false; }));
            started_ = steady_clock::now();
            const bool any = agent.freeze(seconds(10)) > 0;
            copies.consistency = any ? "filesystem" : "crash";
            copies.consistency_reason = any ? "" : "the guest has no file system that can be frozen";
        } catch (const Error& error) {
            copies.consistency = "crash";
            copies.consistency_reason = error.what();
        }
    }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;
    ~Frozen()
    {
        try {
            thaw();
        } catch (const Error&) { // the agent does not answer; the guest thaws when it does
        }
    }
    // How long it was frozen.
    milliseconds thaw()
    {
        if (!thawed_) {
            agent_.thaw(seconds(10));
            thawed_ = true;
        }
        return std::chrono::duration_cast<milliseconds>(steady_clock::now() - started_);
    }

private:
    GuestAgent& agent_;
    steady_clock::time_point started_ = steady_clock::now();
    bool thawed_ = false;
};

void require_space(const Instance& instance, const fs::path& into)
{
    ByteSize needed = space_margin;
    for (const InstanceDisk& disk : instance.disks) {
        needed = needed + allocated_size(disk.overlay);
    }
    require_free_space(into, needed, "the copy of the disks");
}

// The copies' block nodes in QEMU, removed again on destruction.
class Targets
{
public:
    Targets(const Instance& instance, const fs::path& into, QmpClient& qmp, DiskCopies& copies) : qmp_(qmp)
    {
        for (std::size_t i = 0; i < instance.disks.size(); ++i) {
            const InstanceDisk& disk = instance.disks[i];
            const fs::path file = into / fmt::format("delta{}.qcow2", i);
            run_or_throw(
                {.argv = {"qemu-img", "create", "-q", "-f", "qcow2", file.native(), std::to_string(disk.size.bytes())}},
                "creating the copy's disk");
            // Over the same layer as in use later, so that zeroes stay zeroes and don't become holes.
            const std::string backing = disk.layers.empty() ? "" : layer_node(i, disk.layers.size() - 1);
            qmp.execute("blockdev-add", qcow2_node(target_node(i), file, false, backing));
            ++added_;
            copies.disks.push_back({disk, file});
        }
    }
    Targets(const Targets&) = delete;
    Targets& operator=(const Targets&) = delete;
    ~Targets()
    {
        for (std::size_t i = 0; i < added_; ++i) {
            try {
                qmp_.execute("blockdev-del", {{"node-name", target_node(i)}});
            } catch (const Error&) { // QEMU has ended, and the node with it
            }
        }
    }

private:
    QmpClient& qmp_;
    std::size_t added_ = 0;
};

// The copy jobs, one a disk; cancelled and dismissed on destruction.
class Jobs
{
public:
    Jobs(std::size_t count, QmpClient& qmp) : qmp_(qmp), count_(count)
    {
        Json actions = Json::array();
        for (std::size_t i = 0; i < count; ++i) {
            actions.push_back({{"type", "blockdev-backup"},
                               {"data",
                                {{"job-id", target_node(i)},
                                 {"device", overlay_node(i)},
                                 {"target", target_node(i)},
                                 {"sync", "top"},
                                 {"auto-dismiss", false},
                                 {"on-target-error", "report"}}}});
        }
        qmp.execute("transaction", {{"actions", actions}}, seconds(10));
    }
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;
    ~Jobs()
    {
        for (std::size_t i = 0; i < count_; ++i) {
            try {
                end(target_node(i));
            } catch (...) { // QEMU has ended, and the job with it
            }
        }
    }

    // Returns when all have concluded. Throws Error{launch, no_space} for a failed one.
    void wait(const std::function<bool()>& cancelled)
    {
        for (;;) {
            bool all = true;
            for (const Json& job : qmp_.execute("query-jobs")) {
                const bool ours = job.value("id", "").starts_with("copy");
                const bool concluded = job.value("status", "") == "concluded";
                if (ours && concluded && job.contains("error")) {
                    const std::string why = job.at("error").get<std::string>();
                    const bool full = why.find("No space left") != std::string::npos;
                    throw Error(full ? ErrorKind::no_space : ErrorKind::launch, "the disks could not be copied: " + why,
                                full ? "free some space where Kiln's home is, then try again" : "");
                }
                all = all && (!ours || concluded);
            }
            if (all) {
                return;
            }
            if (cancelled()) {
                throw Error(ErrorKind::interrupted, "interrupted");
            }
            std::this_thread::sleep_for(milliseconds(50));
        }
    }

private:
    void end(const std::string& id)
    {
        bool asked = false;
        for (int i = 0; i < 200; ++i) {
            const Json jobs = qmp_.execute("query-jobs");
            const auto job =
                std::find_if(jobs.begin(), jobs.end(), [&](const Json& j) { return j.value("id", "") == id; });
            if (job == jobs.end()) {
                return;
            }
            if (job->value("status", "") == "concluded") {
                qmp_.execute("job-dismiss", {{"id", id}});
                return;
            }
            if (!std::exchange(asked, true)) {
                qmp_.execute("job-cancel", {{"id", id}});
            }
            std::this_thread::sleep_for(milliseconds(20));
        }
    }

    QmpClient& qmp_;
    std::size_t count_;
};

} // namespace

DiskCopies copy_running_disks(const Instance& instance, const fs::path& into, QmpClient& qmp, GuestAgent& agent,
                              const std::function<bool()>& cancelled)
{
    require_space(instance, into);
    DiskCopies copies;
    const Targets targets(instance, into, qmp, copies);
    std::optional<Frozen> frozen(std::in_place, agent, copies);
    Jobs jobs(instance.disks.size(), qmp);
    try {
        const milliseconds frozen_for = frozen->thaw();
        copies.frozen_for = copies.consistency == "filesystem" ? frozen_for : milliseconds(0);
    } catch (const Error& error) {
        if (copies.consistency == "filesystem") {
            throw Error(ErrorKind::launch, fmt::format("the guest could not be thawed: {}", error.what()),
                        "look at its console log; the guest agent in it hangs");
        }
    }
    frozen.reset();
    jobs.wait(cancelled);
    return copies;
}

} // namespace kiln::launcher
