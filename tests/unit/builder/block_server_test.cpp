// SPDX-License-Identifier: Apache-2.0
// Layers through the real qemu-img and qemu-storage-daemon.
#include "builder/block_server.h"
#include "builder/chain.h"
#include "core/error.h"
#include "core/json.h"
#include "core/process.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

class BlockServerTest : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-img") || !find_program("qemu-io") || !find_program("qemu-storage-daemon")) {
            GTEST_SKIP() << "qemu-utils and qemu-system-common are not installed";
        }
    }

    void qemu(std::vector<std::string> argv) const
    {
        run_or_throw({.argv = std::move(argv), .folder = folder_.path()}, "preparing a disk");
    }
    void create(const std::string& image) const { qemu({"qemu-img", "create", "-q", "-f", "qcow2", image, "1M"}); }
    void write(const std::string& what, const std::string& image) const
    {
        qemu({"qemu-io", "-f", "qcow2", "-c", "write " + what, image});
    }
    // Fails when the image holds something else.
    void read(const std::string& what, const std::string& image) const
    {
        EXPECT_EQ("", failure_of({"qemu-io", "-r", "-f", "qcow2", "-c", "read " + what, image}))
            << image << " " << what;
    }
    void write_nbd(const BlockServer& server, const std::vector<std::string>& commands, std::size_t disk = 0) const
    {
        std::vector<std::string> argv = {"qemu-io", "-f", "raw"};
        for (const std::string& command : commands) {
            argv.insert(argv.end(), {"-c", command});
        }
        argv.push_back(
            fmt::format("nbd+unix:///{}?socket={}", BlockServer::export_name(disk), server.socket().native()));
        EXPECT_EQ("", failure_of(argv));
    }
    // qemu-io tells of a pattern that is not there on its output only.
    [[nodiscard]] std::string failure_of(const std::vector<std::string>& argv) const
    {
        const ProcessResult result = run({.argv = argv, .folder = folder_.path()});
        const bool wrong =
            !result.succeeded() || result.output.find("Pattern verification failed") != std::string::npos;
        return wrong ? result.output + result.errors : "";
    }
    [[nodiscard]] DiskChain chain(const std::vector<std::string>& layers, const std::string& top) const
    {
        DiskChain result{.size = mebibytes(1), .top = folder_.path() / top};
        for (const std::string& layer : layers) {
            result.layers.push_back(folder_.path() / layer);
        }
        return result;
    }

    test::TemporaryFolder folder_;
};

TEST_F(BlockServerTest, ServesTheChainAndStops)
{
    create("base.qcow2");
    write("-P 7 0 64k", "base.qcow2");
    BlockServer server({chain({"base.qcow2"}, "top.qcow2")}, folder_.path());
    write_nbd(server, {"read -P 7 0 64k", "write -P 8 64k 64k"});
    server.stop();
    EXPECT_FALSE(fs::exists(server.socket()));
    // The write went to the top, the base is as it was.
    read("-P 8 64k 64k", "top.qcow2");
    read("-P 0 64k 64k", "base.qcow2");
}

TEST_F(BlockServerTest, ServesSeveralDisksByName)
{
    BlockServer server({chain({}, "one.qcow2"), chain({}, "two.qcow2")}, folder_.path());
    write_nbd(server, {"write -P 1 0 64k"}, 0);
    write_nbd(server, {"write -P 2 0 64k"}, 1);
    server.stop();
    read("-P 1 0 64k", "one.qcow2");
    read("-P 2 0 64k", "two.qcow2");
}

TEST_F(BlockServerTest, CutsLayersThatHoldWhatWasWrittenSinceTheLast)
{
    qemu({"truncate", "-s", "1M", "base.raw"});
    DiskChain disk = chain({}, "first.qcow2");
    disk.raw = folder_.path() / "base.raw";
    BlockServer server({disk}, folder_.path());
    write_nbd(server, {"write -P 1 0 64k"});
    EXPECT_EQ(std::vector{folder_.path() / "first.qcow2"}, server.cut({folder_.path() / "second.qcow2"}));
    write_nbd(server, {"read -P 1 0 64k", "write -P 2 64k 64k"});
    EXPECT_EQ(std::vector{folder_.path() / "second.qcow2"}, server.cut({folder_.path() / "third.qcow2"}));
    // A finished layer is free for others, and another build may stand on it, while this one goes on.
    read("-P 1 0 64k", "first.qcow2");
    read("-P 0 64k 64k", "first.qcow2");
    read("-P 2 64k 64k", "second.qcow2");
    read("-P 0 0 64k", "second.qcow2");
    write_nbd(server, {"read -P 1 0 64k", "read -P 2 64k 64k", "write -P 3 128k 64k"});
    server.stop();
    read("-P 3 128k 64k", "third.qcow2");
}

TEST_F(BlockServerTest, MergesWhatIsAboveTheBaseIntoOneLayer)
{
    create("base.qcow2");
    write("-P 1 0 128k", "base.qcow2");
    BlockServer server({chain({"base.qcow2"}, "a.qcow2")}, folder_.path());
    write_nbd(server, {"write -P 2 128k 64k", "write -z 0 64k"}); // zeroes over the base's data
    static_cast<void>(server.cut({folder_.path() / "b.qcow2"}));
    write_nbd(server, {"write -P 3 192k 64k"});
    server.write_layer(0, 1, folder_.path() / "layer.qcow2", {});
    server.stop();

    const Json info = parse_json(
        run_or_throw({.argv = {"qemu-img", "info", "--output=json", "layer.qcow2"}, .folder = folder_.path()}, "info"),
        "info");
    EXPECT_FALSE(info.contains("backing-filename"));
    EXPECT_EQ(info.at("format-specific").at("data").at("compression-type"), "zstd");
    qemu({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", "layer.qcow2"});
    read("-P 0 0 64k", "layer.qcow2");
    read("-P 1 64k 64k", "layer.qcow2");
    read("-P 2 128k 64k", "layer.qcow2");
    read("-P 3 192k 64k", "layer.qcow2");
    read("-P 0 256k 64k", "layer.qcow2");
}

TEST(Chain, KeepsTheLowestLayerWhereItWouldGetTooLong)
{
    EXPECT_EQ(0U, kept_below(0));
    EXPECT_EQ(1U, kept_below(1));
    EXPECT_EQ(longest_chain - 1, kept_below(longest_chain - 1)); // and the new one
    EXPECT_EQ(1U, kept_below(longest_chain));
    EXPECT_EQ(1U, kept_below(128));
}

TEST_F(BlockServerTest, AFlattenedChainHoldsWhatTheLongOneDid)
{
    std::vector<std::string> layers;
    for (std::size_t i = 0; i < longest_chain; ++i) {
        layers.push_back(fmt::format("layer{}.qcow2", i));
        create(layers.back());
        // A cluster, and one that the layer above writes anew.
        write(fmt::format("-P {} {}k {}k", i + 1, 64 * i, i + 1 == longest_chain ? 64 : 128), layers.back());
    }
    write("-z 0 64k", layers.at(5)); // zeroes over what the lowest has
    BlockServer server({chain(layers, "top.qcow2")}, folder_.path());
    write_nbd(server, {"write -P 99 512k 64k"});
    server.write_layer(0, kept_below(layers.size()), folder_.path() / "flat.qcow2", {});
    server.stop();

    qemu({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "layer0.qcow2", "flat.qcow2"});
    read("-P 0 0 64k", "flat.qcow2");
    for (std::size_t i = 1; i < longest_chain; ++i) {
        read(fmt::format("-P {} {}k 64k", i == 8 ? 99 : i + 1, 64 * i), "flat.qcow2");
    }
}

TEST_F(BlockServerTest, SaysWhatIsWrongWithALayer)
{
    qemu({"truncate", "-s", "1M", "base.qcow2"});
    try {
        BlockServer server({chain({"base.qcow2"}, "top.qcow2")}, folder_.path());
        FAIL() << "a file of zeroes was taken for qcow2";
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::io, error.kind());
        EXPECT_NE(std::string::npos, error.message().find("not in qcow2 format")) << error.message();
    }
}

TEST(BlockServerArgv, SpellsTheChainOut)
{
    std::string text;
    const std::vector<DiskChain> disks = {{.size = mebibytes(1), .layers = {"/r/a,b", "/r/c"}, .top = "/w/top.qcow2"},
                                          {.size = mebibytes(2), .raw = "/w/base.raw", .top = "/w/top2.qcow2"}};
    for (const std::string& argument : block_server_argv(disks, "/run/kiln/nbd.sock", "/run/kiln/monitor.sock")) {
        text += argument + "\n";
    }
    test::expect_golden("builder/block-server-argv.txt", text);
}

} // namespace
} // namespace kiln::builder
