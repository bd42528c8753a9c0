// SPDX-License-Identifier: Apache-2.0
#include "builder/block_server.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "core/text.h"

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

// Without flushes: whoever keeps a file makes it durable, once; a build that is killed is thrown away.
Json file_node(const fs::path& file, bool read_only)
{
    return {{"driver", "file"},
            {"filename", file.native()},
            {"read-only", read_only},
            {"discard", "unmap"},
            {"cache", {{"no-flush", true}}}};
}

Json raw_node(const std::string& name, const fs::path& file, bool read_only)
{
    return {{"driver", "raw"}, {"node-name", name}, {"read-only", read_only}, {"file", file_node(file, read_only)}};
}

// `backing`: a node's name, or null for none.
Json qcow2_node(const std::string& name, const fs::path& file, bool read_only, const Json& backing)
{
    return {{"driver", "qcow2"},  {"node-name", name},  {"read-only", read_only},
            {"discard", "unmap"}, {"backing", backing}, {"file", file_node(file, read_only)}};
}

// How many files are below the top.
std::size_t depth_of(const DiskChain& disk)
{
    return disk.layers.size() + (disk.raw ? 1 : 0);
}

void create_overlay(const fs::path& file, ByteSize size, const std::vector<std::string>& options = {})
{
    std::vector<std::string> argv = {"qemu-img", "create", "-q", "-f", "qcow2"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {file.native(), std::to_string(size.bytes())});
    run_or_throw({.argv = std::move(argv)}, "creating a disk layer");
}

} // namespace

std::vector<std::string> block_server_argv(const std::vector<DiskChain>& disks, const fs::path& socket,
                                           const fs::path& monitor, const std::optional<fs::path>& transfer)
{
    std::vector<std::string> argv = {"qemu-storage-daemon",
                                     "--chardev",
                                     fmt::format("socket,id=monitor,path={},server=on,wait=off", option_value(monitor)),
                                     "--monitor",
                                     "chardev=monitor",
                                     "--nbd-server",
                                     fmt::format("addr.type=unix,addr.path={}", option_value(socket))};
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
        const Json exported = {{"type", "nbd"}, {"id", name}, {"node-name", below}, {"name", name}, {"writable", true}};
        argv.insert(argv.end(), {"--export", exported.dump()});
    }
    if (transfer) {
        const std::string name = BlockServer::transfer_export_name();
        const Json exported = {{"type", "nbd"}, {"id", name}, {"node-name", name}, {"name", name}, {"writable", true}};
        argv.insert(argv.end(), {"--blockdev", raw_node(name, *transfer, false).dump(), "--export", exported.dump()});
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
    : disks_(std::move(disks)), socket_(work / "nbd.sock"), log_(work / "block-server.log")
{
    for (const DiskChain& disk : disks_) {
        if (!fs::exists(disk.top)) {
            create_overlay(disk.top, disk.size);
        }
    }
    const fs::path monitor = work / "monitor.sock";
    daemon_ = std::make_unique<BackgroundProcess>(block_server_argv(disks_, socket_, monitor, transfer), log_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!monitor_) {
        try {
            // The exports are there before the monitor answers.
            monitor_ = std::make_unique<QmpClient>(JsonSocket::connect(monitor, "qemu-storage-daemon"));
        } catch (const Error&) {
            if (!daemon_->running() || std::chrono::steady_clock::now() > deadline) {
                throw Error(ErrorKind::io, fmt::format("qemu-storage-daemon does not serve the disks: {}",
                                                       tail_in_one_line(read_file(log_), 3)));
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
}

Json BlockServer::execute(const std::string& command, const Json& arguments)
{
    try {
        return monitor_->execute(command, arguments);
    } catch (const Error& error) {
        throw Error(ErrorKind::io, fmt::format("qemu-storage-daemon: {}", error.message()));
    }
}

std::vector<fs::path> BlockServer::cut(const std::vector<fs::path>& tops)
{
    Json actions = Json::array();
    for (std::size_t i = 0; i < disks_.size(); ++i) {
        const std::size_t depth = depth_of(disks_[i]);
        create_overlay(tops.at(i), disks_[i].size);
        execute("blockdev-add", qcow2_node(node_name(i, depth + 1), tops[i], false, nullptr));
        actions.push_back({{"type", "blockdev-snapshot"},
                           {"data", {{"node", node_name(i, depth)}, {"overlay", node_name(i, depth + 1)}}}});
    }
    execute("transaction", {{"actions", actions}});
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
    execute(command, arguments);
    bool cancelled = false;
    for (;;) {
        const Json jobs = execute("query-jobs", Json::object());
        const auto job =
            std::ranges::find_if(jobs, [](const Json& candidate) { return candidate.value("id", "") == job_name; });
        if (job == jobs.end() || job->value("status", "") == "concluded") {
            const std::string error = job == jobs.end() ? "the job is gone" : job->value("error", "");
            execute("job-dismiss", {{"id", job_name}});
            throw_if_interrupted(stop);
            if (!error.empty()) {
                const bool full = error.find("No space left") != std::string::npos;
                throw Error(full ? ErrorKind::no_space : ErrorKind::io, "writing a disk layer: " + error,
                            full ? "free some space where Kiln's home is, then try again" : "");
            }
            return;
        }
        if (stop.stop_requested() && !std::exchange(cancelled, true)) {
            execute("job-cancel", {{"id", job_name}});
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
    create_overlay(layer, chain.size, {"-o", "compression_type=zstd"});
    // Over the same layer as in use later, so that zeroes stay zeroes and don't become holes.
    execute("blockdev-add", qcow2_node("layer", layer, false, below));
    run_job("blockdev-backup", {{"device", top}, {"target", "layer"}, {"sync", "top"}, {"compress", true}}, stop);
    execute("blockdev-del", {{"node-name", "layer"}});
}

// What lies in the files, the lowest first, and in none below them: a chain of its own, as what is asked of a whole one
// is answered for each cluster of all its layers, which takes longer than all the rest.
std::vector<NbdDisk::Extent> BlockServer::allocated_in(const std::vector<fs::path>& files)
{
    Json below = nullptr;
    for (std::size_t i = 0; i < files.size(); ++i) {
        Json node = qcow2_node(fmt::format("alone-{}", i), files[i], true, below);
        node["force-share"] = true; // the disk's top is open for writing
        below = node.at("node-name");
        execute("blockdev-add", node);
    }
    const std::string top = below;
    add_export(top, false);
    std::vector<NbdDisk::Extent> extents = NbdDisk(socket_, top).allocated(static_cast<std::uint32_t>(files.size()));
    execute("block-export-del", {{"id", top}, {"mode", "hard"}});
    for (std::size_t i = files.size(); i > 0; --i) {
        remove_node(fmt::format("alone-{}", i - 1));
    }
    return extents;
}

void BlockServer::add_export(const std::string& node, bool writable)
{
    execute("block-export-add", {{"type", "nbd"},
                                 {"id", node},
                                 {"node-name", node},
                                 {"name", node},
                                 {"writable", writable},
                                 {"allocation-depth", !writable}});
}

std::uint64_t BlockServer::write_difference(std::size_t disk, const std::vector<fs::path>& base, const fs::path& layer,
                                            const DifferenceOptions& options, const std::stop_token& stop)
{
    const DiskChain& chain = disks_.at(disk);
    const auto own = chain.raw ? chain.layers.begin() : std::ranges::mismatch(chain.layers, base).in1;
    const auto common = own - chain.layers.begin(); // the same files at the bottom
    create_overlay(layer, chain.size, {"-o", "compression_type=zstd"});
    std::vector<std::string> nodes;
    const auto add = [&](Json node) {
        nodes.push_back(node.at("node-name"));
        execute("blockdev-add", node);
    };
    std::string before_node = common > 0 ? node_name(disk, static_cast<std::size_t>(common) - 1) : "";
    for (auto file = base.begin() + common; file != base.end(); ++file) {
        const Json below = before_node.empty() ? Json(nullptr) : Json(before_node);
        before_node = fmt::format("base-{}", file - base.begin());
        add(qcow2_node(before_node, *file, true, below));
    }
    if (base.empty()) {
        before_node = "base-none";
        add({{"driver", "null-co"}, {"node-name", before_node}, {"size", chain.size.bytes()}, {"read-zeroes", true}});
    }
    // Over the same layers as in use later, so that zeroes stay zeroes and don't become holes.
    add(qcow2_node("layer-file", layer, false, base.empty() ? Json(nullptr) : Json(before_node)));
    add({{"driver", "compress"}, {"node-name", "layer"}, {"file", "layer-file"}});
    const std::string top = node_name(disk, depth_of(chain));
    const std::vector<std::string> exports = {top, before_node, "layer"};
    for (const std::string& node : exports) {
        add_export(node, node == "layer");
    }
    std::uint64_t written = 0;
    {
        NbdDisk(socket_, export_name(disk)).flush(); // of what the top's writer still has in memory
        std::vector<fs::path> files(own, chain.layers.end());
        files.push_back(chain.top);
        std::vector<NbdDisk::Extent> extents = allocated_in(files);
        if (const std::vector<fs::path> others(base.begin() + common, base.end()); !others.empty()) {
            std::ranges::copy(allocated_in(others), std::back_inserter(extents));
        }
        NbdDisk from(socket_, top);
        NbdDisk before(socket_, before_node);
        NbdDisk to(socket_, "layer");
        written = builder::write_difference(from, before, std::move(extents), to, options, stop);
    }
    for (const std::string& node : exports) {
        execute("block-export-del", {{"id", node}, {"mode", "hard"}});
    }
    std::reverse(nodes.begin(), nodes.end()); // each is below the one before
    for (const std::string& node : nodes) {
        remove_node(node);
    }
    return written;
}

// An export ends a moment after it was asked to.
void BlockServer::remove_node(const std::string& node)
{
    for (int tries = 0;; ++tries) {
        try {
            execute("blockdev-del", {{"node-name", node}});
            return;
        } catch (const Error&) {
            if (tries == 1000) {
                throw;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

void BlockServer::stop()
{
    execute("nbd-server-stop", Json::object());
    execute("quit", Json::object());
    monitor_.reset();
    daemon_->stop();
}

} // namespace kiln::builder
