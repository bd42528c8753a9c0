// SPDX-License-Identifier: Apache-2.0
// Attack 4 of docs/threat-model.md: a guest writes the header of a qcow2 file, one that names /etc/shadow as its
// backing file, to the start of its disk. It stays the content of that disk, whoever reads the disk.
#include "builder/block_server.h"
#include "builder/layer.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

class GuestMagic : public testing::Test
{
protected:
    void SetUp() override
    {
        for (const std::string tool : {"qemu-img", "qemu-io", "qemu-storage-daemon"}) {
            if (!find_program(tool)) {
                GTEST_SKIP() << tool << " is not installed";
            }
        }
        run_or_throw({.argv = {"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw",
                               path("header").native(), "16M"}},
                     "making the header");
        header_ = read_file(path("header")).substr(0, 4096);
        ASSERT_EQ(header_.substr(0, 4), "QFI\xfb");
    }

    [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }
    void make_raw(const std::string& name, std::string_view content) const
    {
        write_file_durably(path(name), content);
        fs::resize_file(path(name), 16U << 20U);
    }
    // The disk in `layer` is the 16 MiB one that begins with the header.
    void expect_is_content(const fs::path& layer) const
    {
        const Json info = parse_json(
            run_or_throw({.argv = {"qemu-img", "info", "-f", "qcow2", "--output=json", layer.native()}}, "info"),
            "info");
        EXPECT_FALSE(info.contains("backing-filename"));
        EXPECT_EQ(info.at("virtual-size"), 16U << 20U);
        make_raw("expected.raw", header_);
        EXPECT_NO_THROW(run_or_throw({.argv = {"qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2",
                                               path("expected.raw").native(), layer.native()}},
                                     "comparing"));
    }

    test::TemporaryFolder folder_;
    std::string header_;
};

TEST_F(GuestMagic, Attack04_ARawDiskIsConvertedAsRaw)
{
    make_raw("disk.raw", header_);
    layer_from_raw(path("disk.raw"), path("layer"), {});
    expect_is_content(path("layer"));
}

TEST_F(GuestMagic, Attack04_ARawBaseIsServedAsRaw)
{
    make_raw("disk.raw", header_);
    make_raw("transfer.raw", header_);
    BlockServer server({{.size = mebibytes(16), .raw = path("disk.raw"), .top = path("top")}}, folder_.path(),
                       path("transfer.raw"));
    for (const std::string& name : {BlockServer::export_name(0), BlockServer::transfer_export_name()}) {
        const std::string uri = fmt::format("nbd+unix:///{}?socket={}", name, server.socket().native());
        EXPECT_NO_THROW(run_or_throw(
            {.argv = {"qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", path("disk.raw").native(), uri}},
            "comparing"));
    }
    server.stop();
}

// As in a build over no base, or in a snapshot: the guest's write is in an overlay, the overlay is cut and merged.
TEST_F(GuestMagic, Attack04_WhatAGuestWritesStaysContentInALayer)
{
    write_file_durably(path("pattern"), header_);
    BlockServer server({{.size = mebibytes(16), .top = path("top0")}}, folder_.path());
    const std::string uri =
        fmt::format("nbd+unix:///{}?socket={}", BlockServer::export_name(0), server.socket().native());
    run_or_throw({.argv = {"qemu-io", "-f", "raw", "-c",
                           fmt::format("write -s {} 0 {}", path("pattern").native(), header_.size()), uri}},
                 "writing as a guest");
    const auto finished = server.cut({path("top1")});
    EXPECT_EQ(finished, std::vector<fs::path>{path("top0")});
    server.write_layer(0, 0, path("layer"), {});
    server.stop();
    expect_is_content(path("layer"));
    // A larger disk over it, as `storage.size` and a launch with a larger volume make one.
    BlockServer larger({{.size = mebibytes(32), .layers = {path("layer")}, .top = path("top2")}}, folder_.path());
    larger.write_layer(0, 0, path("grown"), {});
    larger.stop();
    const Json info = parse_json(
        run_or_throw({.argv = {"qemu-img", "info", "-f", "qcow2", "--output=json", path("grown").native()}}, "info"),
        "info");
    EXPECT_EQ(info.at("virtual-size"), 32U << 20U);
    EXPECT_FALSE(info.contains("backing-filename"));
}

} // namespace
} // namespace kiln::builder
