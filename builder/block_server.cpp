// SPDX-License-Identifier: Apache-2.0
#include "builder/block_server.h"

#include "builder/block_nodes.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr const char* job_name = "job";

std::string node_name(std::size_t disk, std::size_t index)
{
    return fmt::format("disk{}-{}", disk, index);
}

// How many files are below the top.
std::size_t depth_of(const DiskChain& disk)
{
    return disk.layers.size() + (disk.raw ? 1 : 0);
}

} // namespace

std::vector<std::string> block_server_argv(const std::vector<DiskChain>& disks, const fs::path& socket,
                                           const fs::path& monitor, const std::optional<fs::path>& transfer)
{
    std::vector<std::string> argv = storage_daemon_argv(socket, monitor);
    for (std::size_t i = 0; i < disks.size(); ++i) {
        std::size_t index = 0;
        Json below = nullptr;
        const auto add = [&](const Json& node) {
            argv.insert(argv.end(), {"--blockdev", node.dump()});
            below = node.at("node-name");
            ++index;
        };
        if (disks[i].raw) {
            add(raw_node(node_name(i, index), *disks[i].raw, true));
        }
        for (const fs::path& layer : disks[i].layers) {
            add(qcow2_node(node_name(i, index), layer, true, below));
        }
        add(qcow2_node(node_name(i, index), disks[i].top, false, below));
        const std::string name = BlockServer::export_name(i);
        argv.insert(argv.end(), {"--export", nbd_export(name, below, true).dump()});
    }
    if (transfer) {
        const std::string name = BlockServer::transfer_export_name();
        argv.insert(argv.end(), {"--blockdev", raw_node(name, *transfer, false).dump(), "--export",
                                 nbd_export(name, name, true).dump()});
    }
    return argv;
}

std::string BlockServer::export_name(std::size_t disk)
{
    return fmt::format("disk{}", disk);
}

std::string BlockServer::transfer_export_name()
{
    return "transfer";
}

BlockServer::BlockServer(std::vector<DiskChain> disks, const fs::path& work, const std::optional<fs::path>& transfer)
    : disks_(std::move(disks)), socket_(work / "nbd.sock")
{
    in_parallel(disks_.size(), [this](std::size_t i) {
        if (!fs::exists(disks_[i].top)) {
            create_overlay(disks_[i].top, disks_[i].size);
        }
    });
    const fs::path monitor = work / "monitor.sock";
    daemon_.emplace(block_server_argv(disks_, socket_, monitor, transfer), monitor, work / "block-server.log");
}

std::vector<fs::path> BlockServer::cut(const std::vector<fs::path>& tops)
{
    Json actions = Json::array();
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        const std::size_t depth = depth_of(disks_[i]);
        create_overlay(tops.at(i), disks_[i].size);
        daemon_->execute("blockdev-add", qcow2_node(node_name(i, depth + 1), tops[i], false, nullptr));
        actions.push_back({{"type", "blockdev-snapshot"},
                           {"data", {{"node", node_name(i, depth)}, {"overlay", node_name(i, depth + 1)}}}});
    }
    daemon_->execute("transaction", {{"actions", actions}});
    std::vector<fs::path> finished;
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        finished.push_back(disks_[i].top);
        disks_[i].layers.push_back(disks_[i].top);
        disks_[i].top = tops[i];
    }
    return finished;
}

void BlockServer::run_job(const std::string& command, Json arguments, const std::stop_token& stop)
{
    arguments["job-id"] = job_name;
    arguments["auto-dismiss"] = false;
    daemon_->execute(command, arguments);
    bool cancelled = false;
    for (;;) {
        const Json jobs = daemon_->execute("query-jobs");
        const auto job =
            std::ranges::find_if(jobs, [](const Json& candidate) { return candidate.value("id", "") == job_name; });
        if (job == jobs.end() || job->value("status", "") == "concluded") {
            const std::string error = job == jobs.end() ? "the job is gone" : job->value("error", "");
            daemon_->execute("job-dismiss", {{"id", job_name}});
            throw_if_interrupted(stop);
            if (!error.empty()) {
                const bool full = error.find("No space left") != std::string::npos;
                throw Error(full ? ErrorKind::no_space : ErrorKind::io, "writing a disk layer: " + error,
                            full ? "free some space where Kiln's home is, then try again" : "");
            }
            return;
        }
        if (stop.stop_requested() && !std::exchange(cancelled, true)) {
            daemon_->execute("job-cancel", {{"id", job_name}});
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void BlockServer::write_layer(std::size_t disk, std::size_t base, const fs::path& layer, const std::stop_token& stop)
{
    const DiskChain& chain = disks_.at(disk);
    const std::string top = node_name(disk, depth_of(chain));
    const Json below = base > 0 ? Json(node_name(disk, base - 1)) : Json(nullptr);
    if (depth_of(chain) > base) {
        Json arguments = {{"device", top}};
        if (base > 0) {
            arguments["base-node"] = below;
        }
        run_job("block-stream", std::move(arguments), stop);
    }
    create_layer(layer, chain.size);
    // Over the same layer as in use later, so that zeroes stay zeroes and don't become holes.
    daemon_->execute("blockdev-add", qcow2_node("layer", layer, false, below));
    run_job("blockdev-backup", {{"device", top}, {"target", "layer"}, {"sync", "top"}, {"compress", true}}, stop);
    daemon_->execute("blockdev-del", {{"node-name", "layer"}});
}

void BlockServer::stop()
{
    daemon_->stop();
}

} // namespace kiln::builder
