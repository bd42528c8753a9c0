// SPDX-License-Identifier: Apache-2.0
// The point-in-time copy with a real QEMU (paused before its first instruction) and a fake guest
// agent: what is copied is exactly the disk, and nothing stays behind in QEMU.
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/qemu_command.h"
#include "launcher/qemu_process.h"
#include "launcher/snapshot/disk_copy.h"
#include "tests/support/fake_server.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <mutex>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
constexpr const char* id = "i-0123456789abcdef0";
const auto never = [] { return false; };

class DiskCopy : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-system-x86_64") || !find_program("qemu-io")) {
            GTEST_SKIP() << "qemu-system-x86 and qemu-utils are not installed";
        }
        fs::create_directories(files_.disks);
        fs::create_directories(files_.run);
        fs::create_directories(files_.ssh);
        write_file_durably(files_.ssh / "id_ed25519.pub", "ssh-ed25519 AAAA test\n");
        make_disks();
        instance_ = small_instance(files_);
        instance_.memory = mebibytes(64);
        instance_.disks[0].size = mebibytes(1);
        instance_.disks[0].layers = {folder_.path() / "base.qcow2"};
        std::vector<std::string> argv = qemu_argv(instance_, files_);
        argv.emplace_back("-S");
        qemu_.emplace(start_detached(argv, folder_.path() / "qemu.log"));
        for (int i = 0; i < 500 && !qmp_; ++i) {
            try {
                qmp_ = std::make_unique<QmpClient>(JsonSocket::connect(files_.qmp_socket, "QEMU"));
            } catch (const Error&) {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
        }
        ASSERT_TRUE(qmp_) << read_file(folder_.path() / "qemu.log");
    }

    void TearDown() override
    {
        if (qemu_) {
            qemu_->signal(SIGKILL);
            EXPECT_TRUE(qemu_->wait(std::chrono::seconds(10)));
        }
    }

    void tool(std::vector<std::string> argv) const
    {
        run_or_throw({.argv = std::move(argv), .folder = folder_.path()}, "preparing a disk");
    }

    // base: 1s in two clusters; overlay: zeroes over the first, 2s in the third.
    void make_disks() const
    {
        const std::string overlay = files_.disks / "disk0.qcow2";
        tool({"qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "1M"});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", "base.qcow2"});
        tool({"qemu-img", "create", "-q", "-f", "qcow2", "-b", folder_.path() / "base.qcow2", "-F", "qcow2", overlay});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -z 0 64k", "-c", "write -P 2 128k 64k", overlay});
        tool({"qemu-img", "convert", "-O", "raw", overlay, "expected.raw"});
        tool({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", overlay});
    }

    void expect_exact(const DiskCopies& copies) const
    {
        ASSERT_EQ(copies.disks.size(), 1U);
        const std::string delta = copies.disks[0].delta;
        tool({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "--", delta});
        fs::copy_file(folder_.path() / "base.qcow2", fs::path(delta).parent_path() / "base.qcow2");
        tool({"qemu-img", "compare", "-f", "raw", "-F", "qcow2", "expected.raw", delta});
    }

    void expect_nothing_left()
    {
        EXPECT_EQ(qmp_->execute("query-jobs"), Json::array());
        EXPECT_THAT(qmp_->execute("query-named-block-nodes").dump(), testing::Not(testing::HasSubstr("copy0")));
    }

    // Notes the commands that come; answers each well, or `refused` with an error.
    FakeServer::Answer agent(const std::string& refused = {})
    {
        return [this, refused](std::string line) -> std::string {
            line.erase(0, line.rfind('\xff') + 1);
            const Json request = Json::parse(line);
            const std::string command = request.at("execute");
            if (command == "guest-sync-delimited") {
                return "\xff" + Json{{"return", request.at("arguments").at("id")}}.dump() + "\n";
            }
            const std::lock_guard lock(mutex_);
            commands_.push_back(command);
            if (command == refused) {
                return "{\"error\":{\"desc\":\"not today\"}}\n";
            }
            const Json answer = command == "guest-exec"          ? Json{{"pid", 1}}
                                : command == "guest-exec-status" ? Json{{"exited", true}, {"exitcode", 0}}
                                                                 : Json(1);
            return Json{{"return", answer}}.dump() + "\n";
        };
    }
    std::vector<std::string> freezes_and_thaws()
    {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> found;
        std::ranges::copy_if(commands_, std::back_inserter(found),
                             [](const std::string& c) { return c.starts_with("guest-fsfreeze"); });
        return found;
    }
    fs::path into()
    {
        fs::create_directories(folder_.path() / "into");
        return folder_.path() / "into";
    }

    test::TemporaryFolder folder_;
    InstancePaths files_{paths_in(folder_.path()), id};
    Instance instance_;
    std::optional<WatchedProcess> qemu_;
    std::unique_ptr<QmpClient> qmp_;
    std::mutex mutex_;
    std::vector<std::string> commands_;
};

TEST_F(DiskCopy, IsExactlyTheDiskAndLeavesNothing)
{
    FakeServer server("", agent());
    GuestAgent guest(server.path());
    const DiskCopies copies = copy_running_disks(instance_, into(), *qmp_, guest, never);
    EXPECT_EQ(copies.consistency, "filesystem");
    EXPECT_EQ(freezes_and_thaws(), (std::vector<std::string>{"guest-fsfreeze-freeze", "guest-fsfreeze-thaw"}));
    expect_nothing_left();
    expect_exact(copies);
}

TEST_F(DiskCopy, AGuestThatCantFreezeGivesACrashConsistentCopy)
{
    FakeServer server("", agent("guest-fsfreeze-freeze"));
    GuestAgent guest(server.path());
    const DiskCopies copies = copy_running_disks(instance_, into(), *qmp_, guest, never);
    EXPECT_EQ(copies.consistency, "crash");
    EXPECT_THAT(copies.consistency_reason, testing::HasSubstr("not today"));
    expect_nothing_left();
    expect_exact(copies);
}

TEST_F(DiskCopy, ACopyThatCantStartThawsTheGuest)
{
    FakeServer server("", agent());
    GuestAgent guest(server.path());
    // The job's name is taken, so the transaction fails inside the freeze.
    tool({"qemu-img", "create", "-q", "-f", "qcow2", "taken.qcow2", "1M"});
    qmp_->execute("blockdev-add", qcow2_node("taken", folder_.path() / "taken.qcow2", false, "disk0-layer0"));
    qmp_->execute(
        "blockdev-backup",
        {{"job-id", "copy0"}, {"device", "disk0"}, {"target", "taken"}, {"sync", "top"}, {"auto-dismiss", false}});
    EXPECT_THROW(static_cast<void>(copy_running_disks(instance_, into(), *qmp_, guest, never)), Error);
    EXPECT_EQ(freezes_and_thaws(), (std::vector<std::string>{"guest-fsfreeze-freeze", "guest-fsfreeze-thaw"}));
    EXPECT_THAT(qmp_->execute("query-named-block-nodes").dump(), testing::Not(testing::HasSubstr("delta0")));
}

TEST_F(DiskCopy, AFolderThatIsMissingIsAnErrorAndNoFreeze)
{
    FakeServer server("", agent());
    GuestAgent guest(server.path());
    EXPECT_THROW(static_cast<void>(copy_running_disks(instance_, folder_.path() / "nowhere", *qmp_, guest, never)),
                 Error);
    EXPECT_TRUE(freezes_and_thaws().empty());
}

} // namespace
} // namespace kiln::launcher
