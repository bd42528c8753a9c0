// SPDX-License-Identifier: Apache-2.0
#include "builder/difference_server.h"

#include "builder/block_nodes.h"
#include "core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

using Files = std::span<const fs::path>;

// The files at the bottom that disk and base have in common, and what lies above them in each.
struct Split {
    Files common;
    Files own;
    Files others;
};

Split split(const DiskDifference& disk)
{
    const auto differ = std::ranges::mismatch(disk.layers, disk.base);
    return {{disk.layers.begin(), differ.in1}, {differ.in1, disk.layers.end()}, {differ.in2, disk.base.end()}};
}

// The names of exports, and of the nodes behind them.
std::string disk_name(std::size_t disk)
{
    return fmt::format("disk{}", disk);
}
std::string base_name(std::size_t disk)
{
    return fmt::format("base{}", disk);
}
std::string layer_name(std::size_t disk)
{
    return fmt::format("layer{}", disk);
}
std::string own_name(std::size_t disk)
{
    return fmt::format("own{}", disk);
}
std::string others_name(std::size_t disk)
{
    return fmt::format("others{}", disk);
}

class Argv
{
public:
    explicit Argv(std::vector<std::string> argv) : argv_(std::move(argv)) {}

    void add(const Json& node) { argv_.insert(argv_.end(), {"--blockdev", node.dump()}); }

    // Nodes NAME-0, NAME-1 and so on, over `below`, which may be null. Returns the top one's name, or `below`.
    Json add_chain(const std::string& name, Files files, Json below)
    {
        for (std::size_t i = 0; i < files.size(); ++i) {
            add(qcow2_node(fmt::format("{}-{}", name, i), files[i], true, below));
            below = fmt::format("{}-{}", name, i);
        }
        return below;
    }

    void serve(const std::string& name, const std::string& node, bool writable = false)
    {
        argv_.insert(argv_.end(), {"--export", nbd_export(name, node, writable).dump()});
    }

    // What lies in the files and in none below them: a chain of its own, as what is asked of a whole one is answered
    // for each cluster of all its layers, which takes longer than all the rest.
    void serve_allocation(const std::string& name, Files files)
    {
        if (!files.empty()) {
            Json exported = nbd_export(name, add_chain(name, files, nullptr), false);
            exported["allocation-depth"] = true;
            argv_.insert(argv_.end(), {"--export", exported.dump()});
        }
    }

    [[nodiscard]] std::vector<std::string> take() { return std::move(argv_); }

private:
    std::vector<std::string> argv_;
};

void add_disk(Argv& argv, std::size_t index, const DiskDifference& disk)
{
    const auto [common, own, others] = split(disk);
    const Json shared = argv.add_chain(fmt::format("common{}", index), common, nullptr);
    argv.serve(disk_name(index), argv.add_chain(disk_name(index), own, shared));
    Json base = argv.add_chain(base_name(index), others, shared);
    const Json below = base;
    if (base.is_null()) {
        base = base_name(index);
        argv.add({{"driver", "null-co"}, {"node-name", base}, {"size", disk.size.bytes()}, {"read-zeroes", true}});
    }
    argv.serve(base_name(index), base);
    // Over the same layers as in use later, so that zeroes stay zeroes and don't become holes.
    const std::string file = fmt::format("layer{}-file", index);
    argv.add(qcow2_node(file, disk.layer, false, below));
    argv.add({{"driver", "compress"}, {"node-name", layer_name(index)}, {"file", file}});
    argv.serve(layer_name(index), layer_name(index), true);
    argv.serve_allocation(own_name(index), own);
    argv.serve_allocation(others_name(index), others);
}

} // namespace

std::vector<std::string> difference_server_argv(const std::vector<DiskDifference>& disks, const fs::path& socket,
                                                const fs::path& monitor)
{
    Argv argv(storage_daemon_argv(socket, monitor));
    for (std::size_t i = 0; i < disks.size(); ++i) {
        add_disk(argv, i, disks[i]);
    }
    return argv.take();
}

DifferenceServer::DifferenceServer(std::vector<DiskDifference> disks, const fs::path& work)
    : disks_(std::move(disks)), socket_(work / "nbd.sock")
{
    in_parallel(disks_.size(), [this](std::size_t i) {
        if (!fs::exists(disks_[i].layer)) {
            create_layer(disks_[i].layer, disks_[i].size);
        }
    });
    const fs::path monitor = work / "monitor.sock";
    daemon_.emplace(difference_server_argv(disks_, socket_, monitor), monitor, work / "block-server.log");
}

std::uint64_t DifferenceServer::write(std::size_t disk, const DifferenceOptions& options, const std::stop_token& stop)
{
    const auto [common, own, others] = split(disks_.at(disk));
    std::vector<NbdDisk::Extent> extents;
    const auto look_into = [&](const std::string& name, Files files) {
        if (!files.empty()) {
            std::ranges::copy(NbdDisk(socket_, name).allocated(static_cast<std::uint32_t>(files.size())),
                              std::back_inserter(extents));
        }
    };
    look_into(own_name(disk), own);
    look_into(others_name(disk), others);
    NbdDisk from(socket_, disk_name(disk));
    NbdDisk before(socket_, base_name(disk));
    NbdDisk to(socket_, layer_name(disk));
    return write_difference(from, before, std::move(extents), to, options, stop);
}

void DifferenceServer::stop()
{
    daemon_->stop();
}

} // namespace kiln::builder
