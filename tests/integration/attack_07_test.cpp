// SPDX-License-Identifier: Apache-2.0
// Attack 7 of docs/threat-model.md: disks whose ext4, btrfs or partition table is broken. The appliance says so or dies
// of it, in bounded time; the host mounts nothing.
#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/found_system.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr ByteSize disk_size = mebibytes(128); // the least for btrfs
constexpr seconds longest{60};                 // without KVM

std::string host_mounts()
{
    std::ifstream mounts("/proc/self/mounts");
    return {std::istreambuf_iterator<char>(mounts), {}};
}

class BrokenDisks : public testing::Test
{
protected:
    void SetUp() override
    {
        for (const std::string tool :
             {"mke2fs", "tune2fs", "mkfs.btrfs", "sgdisk", "qemu-storage-daemon", "supermin"}) {
            if (!find_program(tool)) {
                GTEST_SKIP() << tool << " is not installed";
            }
        }
    }

    [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }

    // A raw disk that `argv` and the disk's path fill.
    void make(const std::string& name, std::vector<std::string> argv) const
    {
        write_file_durably(path(name), "");
        fs::resize_file(path(name), disk_size.bytes());
        argv.push_back(path(name).native());
        run_or_throw({.argv = std::move(argv)}, "making a disk");
    }
    void overwrite(const std::string& name, std::uint64_t from, std::uint64_t to) const
    {
        std::fstream file(path(name), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(from));
        const std::string garbage(to - from, '\xa5');
        file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
        ASSERT_TRUE(file.good());
    }
    void serve(const std::vector<std::string>& names)
    {
        std::vector<DiskChain> disks;
        std::vector<ApplianceDrive> drives;
        for (const std::string& name : names) {
            disks.push_back({.size = disk_size, .raw = path(name), .top = path(name + ".top")});
        }
        server_ = std::make_unique<BlockServer>(disks, folder_.path());
        for (std::size_t i = 0; i < names.size(); ++i) {
            drives.push_back({server_->socket(), BlockServer::export_name(i)});
        }
        appliance_ = std::make_unique<Appliance>(ApplianceOptions{.temporary = folder_.path(), .warm = path("cache")},
                                                 drives, std::stop_token{});
    }
    static void expect_error(const std::string& what, const std::function<void()>& attempt)
    {
        const auto begun = steady_clock::now();
        try {
            attempt();
            ADD_FAILURE() << what << " was no error";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::step_failed) << error.what();
            EXPECT_GT(error.message().size(), 10U);
            std::cout << what << ": " << error.what() << "\n";
        }
        EXPECT_LT(steady_clock::now() - begun, longest) << what;
    }

    test::TemporaryFolder folder_;
    std::unique_ptr<BlockServer> server_;
    std::unique_ptr<Appliance> appliance_;
};

TEST_F(BrokenDisks, Attack07_TheApplianceSaysWhatIsBroken)
{
    const std::string before = host_mounts();
    // Superblock and group descriptors stay; the inodes, the root folder's among them, don't.
    make("ext4", {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"});
    overwrite("ext4", 16 * 4096, 64U << 20U);
    make("btrfs", {"mkfs.btrfs", "-q", "-f"});
    overwrite("btrfs", 1U << 20U, 64U << 20U); // all trees, and the second superblock
    make("gpt", {"sgdisk", "-n", "1:2048:+32M"});
    overwrite("gpt", 512 + 16, 512 + 24);                                         // the header's checksum
    overwrite("gpt", disk_size.bytes() - 512 + 16, disk_size.bytes() - 512 + 24); // and the backup's
    serve({"ext4", "btrfs", "gpt"});

    expect_error("ext4", [&] { appliance_->mount("/dev/sda", "/"); });
    expect_error("btrfs", [&] { appliance_->mount("/dev/sdb", "/"); });
    expect_error("GPT", [&] { appliance_->mount("/dev/sdc1", "/"); });
    expect_error("all", [&] { static_cast<void>(find_whole_system(*appliance_)); });
    EXPECT_EQ(host_mounts(), before);

    // It is no worse for it.
    appliance_->make_filesystem("/dev/sda", "ext4", "");
    appliance_->mount("/dev/sda", "/");
    appliance_->write_file("/whole", "yes");
    EXPECT_EQ(appliance_->read_file("/whole"), "yes");
    appliance_->shutdown();
    EXPECT_EQ(host_mounts(), before);
}

// What the superblock says, the kernel does: panic at the first thing that is wrong.
TEST_F(BrokenDisks, Attack07_AnAppliancePanicIsAnError)
{
    const std::string before = host_mounts();
    make("panic", {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"});
    run_or_throw({.argv = {"tune2fs", "-e", "panic", path("panic").native()}}, "changing a disk");
    overwrite("panic", 16 * 4096, 64U << 20U);
    serve({"panic"});
    expect_error("panic", [&] { appliance_->mount("/dev/sda", "/"); });
    expect_error("afterwards", [&] { appliance_->mount("/dev/sda", "/"); });
    appliance_.reset();
    EXPECT_EQ(host_mounts(), before);
}

} // namespace
} // namespace kiln::builder
