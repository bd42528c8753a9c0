// SPDX-License-Identifier: Apache-2.0
// A layer of what differs, through the real qemu-storage-daemon.
#include "builder/difference_server.h"
#include "builder/layer_difference.h"
#include "core/error.h"
#include "core/process.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;
constexpr std::uint64_t cluster = 65536;

TEST(JoinedExtents, AreWholeClustersWithoutOverlap)
{
    const auto joined =
        joined_extents({{70000, 10, 1}, {0, 100, 1}, {65536, 65536, 2}, {262144, 1000, 1}}, 4 * cluster + 500, 1 << 20);
    ASSERT_EQ(joined.size(), 2U);
    EXPECT_EQ(joined[0].offset, 0U);
    EXPECT_EQ(joined[0].length, 2 * cluster);
    EXPECT_EQ(joined[1].offset, 4 * cluster);
    EXPECT_EQ(joined[1].length, 500U); // the disk's end
}

TEST(JoinedExtents, AreCutIntoPieces)
{
    const auto joined = joined_extents({{0, 5 * cluster, 1}}, 5 * cluster, 2 * cluster);
    ASSERT_EQ(joined.size(), 3U);
    EXPECT_EQ(joined[2].offset, 4 * cluster);
    EXPECT_EQ(joined[2].length, cluster);
}

class LayerDifference : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-img") || !find_program("qemu-io") || !find_program("qemu-storage-daemon")) {
            GTEST_SKIP() << "qemu-utils and qemu-system-common are not installed";
        }
        make("base", "", {"write -P 1 0 512k"});
        make("parent", "base", {"write -P 2 64k 64k"});
    }
    [[nodiscard]] fs::path file(const std::string& name) const { return folder_.path() / (name + ".qcow2"); }
    void tool(std::vector<std::string> argv) const
    {
        run_or_throw({.argv = std::move(argv), .folder = folder_.path()}, "preparing a disk");
    }
    // qcow2 over another while it is written, without a backing file afterwards.
    void make(const std::string& name, const std::string& backing, const std::vector<std::string>& writes) const
    {
        std::vector<std::string> argv = {"qemu-img", "create", "-q", "-f", "qcow2"};
        if (!backing.empty()) {
            argv.insert(argv.end(), {"-b", file(backing), "-F", "qcow2"});
        }
        argv.insert(argv.end(), {file(name), "1M"});
        tool(argv);
        for (const std::string& write : writes) {
            tool({"qemu-io", "-f", "qcow2", "-c", write, file(name)});
        }
        if (!backing.empty()) {
            tool({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", file(name)});
        }
    }
    [[nodiscard]] std::string chain(const std::vector<std::string>& names) const
    {
        Json node = nullptr;
        for (const std::string& name : names) {
            node = {{"driver", "qcow2"},
                    {"backing", node},
                    {"file", {{"driver", "file"}, {"filename", file(name).native()}}}};
        }
        return "json:" + node.dump();
    }
    std::uint64_t difference(const std::vector<std::string>& layers, const std::vector<std::string>& base,
                             const DifferenceOptions& options = {}, const std::stop_token& stop = {})
    {
        DiskDifference disk{.size = mebibytes(1), .layers = {}, .base = {}, .layer = file("layer")};
        for (const std::string& layer : layers) {
            disk.layers.push_back(file(layer));
        }
        for (const std::string& layer : base) {
            disk.base.push_back(file(layer));
        }
        DifferenceServer server({disk}, folder_.path());
        const std::uint64_t written = server.write(0, options, stop);
        server.stop();
        return written;
    }
    void expect_same(const std::vector<std::string>& disk, std::vector<std::string> base)
    {
        base.emplace_back("layer");
        tool({"qemu-img", "convert", "-O", "raw", chain(disk), "disk.raw"});
        tool({"qemu-img", "convert", "-O", "raw", chain(base), "composed.raw"});
        tool({"cmp", "disk.raw", "composed.raw"});
    }

    test::TemporaryFolder folder_;
};

TEST_F(LayerDifference, OnlyWhatDiffersIsStored)
{
    // The same again, something new, zeroes, and what was zero before.
    make("overlay", "parent", {"write -P 2 64k 64k", "write -P 3 128k 64k", "write -z 192k 64k", "write -z 768k 64k"});
    EXPECT_EQ(difference({"base", "parent", "overlay"}, {"base", "parent"}), 2 * cluster);
    expect_same({"base", "parent", "overlay"}, {"base", "parent"});
}

// The disk does not stand on the base's last layer: what that changed, and the disk did not, is stored too.
TEST_F(LayerDifference, AgainstAnEarlierSnapshotOfTheSameDisk)
{
    make("overlay", "parent", {"write -P 3 128k 128k"});
    make("sealed", "parent", {"write -P 3 128k 64k", "write -z 192k 64k", "write -P 9 320k 64k"});
    make("later", "parent", {"write -P 3 128k 128k", "write -P 4 640k 64k"});
    // 192k and 320k go back, 640k is new; 128k is the same.
    EXPECT_EQ(difference({"base", "parent", "later"}, {"base", "parent", "sealed"}), 3 * cluster);
    expect_same({"base", "parent", "later"}, {"base", "parent", "sealed"});
}

TEST_F(LayerDifference, OfABlankDiskAndOfNothing)
{
    make("overlay", "", {"write -P 5 0 64k"});
    EXPECT_EQ(difference({"overlay"}, {}), cluster);
    expect_same({"overlay"}, {});
    fs::remove(file("layer"));
    EXPECT_EQ(difference({"base", "parent"}, {"base", "parent"}), 0U);
}

TEST_F(LayerDifference, OfSeveralDisksAtTheSameTime)
{
    make("one", "parent", {"write -P 3 128k 64k"});
    make("two", "parent", {"write -P 4 256k 128k"});
    const auto disk = [&](const std::string& name) {
        return DiskDifference{.size = mebibytes(1),
                              .layers = {file("base"), file("parent"), file(name)},
                              .base = {file("base"), file("parent")},
                              .layer = file("layer-of-" + name)};
    };
    DifferenceServer server({disk("one"), disk("two")}, folder_.path());
    auto first = std::async(std::launch::async, [&] { return server.write(0, {}, {}); });
    EXPECT_EQ(server.write(1, {}, {}), 2 * cluster);
    EXPECT_EQ(first.get(), cluster);
    server.stop();
    for (const std::string name : {"one", "two"}) {
        fs::rename(file("layer-of-" + name), file("layer"));
        expect_same({"base", "parent", name}, {"base", "parent"});
    }
}

// Formats and chains are explicit: what a file says itself is never looked at.
TEST(DifferenceServerArgv, SpellsTheChainsOut)
{
    std::string text;
    const std::vector<DiskDifference> disks = {
        {.size = mebibytes(1), .layers = {"/r/a,b", "/r/c", "/i/o"}, .base = {"/r/a,b", "/r/d"}, .layer = "/w/l0"},
        {.size = mebibytes(2), .layers = {"/i/p"}, .base = {}, .layer = "/w/l1"}};
    for (const std::string& argument : difference_server_argv(disks, "/run/kiln/nbd.sock", "/run/kiln/monitor.sock")) {
        text += argument + "\n";
    }
    test::expect_golden("builder/difference-server-argv.txt", text);
}

TEST_F(LayerDifference, KeepsToItsRateAndCanBeStopped)
{
    make("overlay", "parent", {"write -P 3 0 1M"});
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(difference({"base", "parent", "overlay"}, {"base", "parent"}, {.rate = mebibytes(2)}), 16 * cluster);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(490));
    fs::remove(file("layer"));
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(difference({"base", "parent", "overlay"}, {"base", "parent"}, {}, stop.get_token()), Error);
}

} // namespace
} // namespace kiln::builder
