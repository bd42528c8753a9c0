// SPDX-License-Identifier: Apache-2.0
// Layers through the real qemu-img and qemu-storage-daemon.
#include "builder/block_server.h"
#include "builder/layer.h"
#include "core/json.h"
#include "core/process.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

class Layer : public testing::Test
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
    // Writes a pattern to an image through qemu-io, or zeroes with "write -z".
    void write(const std::string& options, const std::string& target) const
    {
        qemu({"qemu-io", "-f", "qcow2", "-c", "write " + options, target});
    }

    test::TemporaryFolder folder_;
};

TEST_F(Layer, KeepsZeroesOverAParentsData)
{
    // base: 1s in the first two clusters; delta: zeroes over the first, 2s in the third.
    qemu({"qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "1M"});
    write("-P 1 0 128k", "base.qcow2");
    qemu({"qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "delta.qcow2"});
    write("-z 0 64k", "delta.qcow2");
    write("-P 2 128k 64k", "delta.qcow2");
    qemu({"qemu-img", "convert", "-O", "raw", "delta.qcow2", "expected.raw"});
    qemu({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", "delta.qcow2"});

    const fs::path& folder = folder_.path();
    layer_from_delta(folder / "delta.qcow2", ByteSize(1 << 20), folder / "layer.qcow2", folder, {});

    const Json info = parse_json(
        run_or_throw({.argv = {"qemu-img", "info", "--output=json", "layer.qcow2"}, .folder = folder}, "info"), "info");
    EXPECT_FALSE(info.contains("backing-filename"));
    EXPECT_EQ(info.at("format-specific").at("data").at("compression-type"), "zstd");
    EXPECT_FALSE(fs::exists(folder / "empty.qcow2"));
    qemu({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", "layer.qcow2"});
    qemu({"qemu-img", "compare", "-F", "qcow2", "-f", "raw", "expected.raw", "layer.qcow2"});
}

TEST_F(Layer, BlockServerServesTheChainAndStops)
{
    qemu({"qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "1M"});
    write("-P 7 0 64k", "base.qcow2");
    qemu({"qemu-img", "create", "-q", "-f", "qcow2", "top.qcow2", "1M"});
    const fs::path& folder = folder_.path();
    BlockServer server({folder / "base.qcow2"}, folder / "top.qcow2", folder);
    qemu({"qemu-io", "-f", "raw", "-c", "read -P 7 0 64k", "-c", "write -P 8 64k 64k",
          "nbd+unix:///?socket=" + server.socket().native()});
    server.stop();
    EXPECT_FALSE(fs::exists(server.socket()));
    // The write went to the top, the base is as it was.
    qemu({"qemu-io", "-f", "qcow2", "-c", "read -P 8 64k 64k", "top.qcow2"});
    qemu({"qemu-io", "-f", "qcow2", "-c", "read -P 0 64k 64k", "base.qcow2"});
}

TEST(BlockServerArgv, SpellsTheChainOut)
{
    std::string text;
    for (const std::string& argument : block_server_argv({"/r/a,b", "/r/c"}, "/w/top.qcow2", "/run/kiln/nbd.sock")) {
        text += argument + "\n";
    }
    test::expect_golden("builder/block-server-argv.txt", text);
}

} // namespace
} // namespace kiln::builder
