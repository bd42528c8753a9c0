// SPDX-License-Identifier: Apache-2.0
// The moment of a snapshot with a real QEMU (paused before its first instruction) and a fake guest agent: what is below
// the fresh overlays is exactly the disk, the record says what QEMU has, and merging keeps the content.
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/passed_files.h"
#include "launcher/qemu_command.h"
#include "launcher/qemu_process.h"
#include "launcher/snapshot/point_in_time.h"
#include "launcher/storage/block_nodes.h"
#include "launcher/storage/volume_chain.h"
#include "launcher/storage/volume_plug.h"
#include "launcher/storage/volume_store.h"
#include "signing/base64.h"
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
constexpr const char* volume_id = "vol-0123456789abcdef0";
const auto never = [] { return false; };
using Commands = std::vector<std::string>;

class PointInTimeTest : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-system-x86_64") || !find_program("qemu-io")) {
            GTEST_SKIP() << "qemu-system-x86 and qemu-utils are not installed";
        }
        fs::create_directories(files_.disks);
        fs::create_directories(files_.frames);
        fs::create_directories(files_.ssh);
        write_file_durably(files_.ssh / "id_ed25519.pub", "ssh-ed25519 AAAA test\n");
        make_disks();
        Instance instance = small_instance(files_);
        instance.memory = mebibytes(64);
        instance.disks[0].size = mebibytes(1);
        instance.disks[0].layers = {folder_.path() / "base.qcow2"};
        instance.disks[0].lower = {files_.disks / "disk0.qcow2"};
        instance.disks[0].overlay = files_.disks / "disk0.1.qcow2";
        save_record(files_, instance);
        make_volume();
        qemu_.emplace(start_paused(with_volumes(home_, instance)));
        for (int i = 0; i < 1000 && !qmp_; ++i) {
            try {
                qmp_ = std::make_unique<QmpClient>(JsonSocket::connect(files_.qmp_socket, "QEMU"));
            } catch (const Error&) {
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
            }
        }
        ASSERT_TRUE(qmp_) << read_file(folder_.path() / "qemu.log");
    }

    void TearDown() override { stop_qemu(); }

    void stop_qemu()
    {
        if (qemu_) {
            qemu_->signal(SIGKILL);
            EXPECT_TRUE(qemu_->wait(std::chrono::seconds(10)));
            qemu_.reset();
        }
    }

    void tool(std::vector<std::string> argv) const
    {
        run_or_throw({.argv = std::move(argv), .folder = folder_.path()}, "preparing a disk");
    }

    // Beside the disk, one that comes and goes, with 4s.
    [[nodiscard]] pid_t start_paused(const Instance& instance) const
    {
        PassedArgv passed = pass_files(qemu_argv(instance, files_));
        passed.argv.emplace_back("-S");
        std::vector<int> inherited;
        for (const FileDescriptor& file : passed.files) {
            inherited.push_back(file.get());
        }
        return start_detached(passed.argv, folder_.path() / "qemu.log",
                              {.inherited = inherited, .folder = passed.folder, .pid_file = passed.pid_file});
    }

    void make_volume() const
    {
        Volume volume;
        volume.id = volume_id;
        volume.size = mebibytes(1);
        volume.created = "2026-11-26T12:00:00Z";
        volume.state = VolumeState::in_use;
        volume.attachment = Attachment{.instance_id = id, .device = "/dev/sdf", .since = volume.created};
        fs::create_directories(volume_.folder);
        save_volume(volume_, volume);
        tool({"qemu-img", "create", "-q", "-f", "qcow2", volume_.disk, "1M"});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -P 4 0 64k", volume_.disk});
        tool({"qemu-img", "convert", "-O", "raw", volume_.disk, "volume.raw"});
    }

    // base: 1s in two clusters; first overlay: zeroes over the first, 2s in the third; second: 3s in the fourth.
    void make_disks() const
    {
        tool({"qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "1M"});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", "base.qcow2"});
        const std::string first = files_.disks / "disk0.qcow2";
        const std::string second = files_.disks / "disk0.1.qcow2";
        tool({"qemu-img", "create", "-q", "-f", "qcow2", "-b", folder_.path() / "base.qcow2", "-F", "qcow2", first});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -z 0 64k", "-c", "write -P 2 128k 64k", first});
        tool({"qemu-img", "create", "-q", "-f", "qcow2", "-b", first, "-F", "qcow2", second});
        tool({"qemu-io", "-f", "qcow2", "-c", "write -P 3 192k 64k", second});
        tool({"qemu-img", "convert", "-O", "raw", second, "expected.raw"});
        tool({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", first});
        tool({"qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "", second});
    }

    // The files below `overlays`, as one chain, have what the disk had.
    void expect_exact(const std::vector<fs::path>& overlays) const
    {
        expect_chain(chain_node(folder_.path() / "base.qcow2", nullptr), overlays, "expected.raw");
    }
    void expect_exact_volume(const std::vector<fs::path>& overlays) const
    {
        expect_chain(nullptr, overlays, "volume.raw");
    }
    void expect_chain(Json node, const std::vector<fs::path>& overlays, const std::string& expected) const
    {
        for (const fs::path& overlay : overlays) {
            node = chain_node(overlay, node);
        }
        tool({"qemu-img", "convert", "-U", "-O", "raw", "json:" + node.dump(), "found.raw"});
        tool({"qemu-img", "compare", "-f", "raw", "-F", "raw", expected, "found.raw"});
    }
    static Json chain_node(const fs::path& file, const Json& backing)
    {
        return {{"driver", "qcow2"}, {"backing", backing}, {"file", {{"driver", "file"}, {"filename", file.native()}}}};
    }

    [[nodiscard]] InstanceDisk volume() const { return disk_of(home_, load_volume(volume_)); }
    std::string top() { return qmp_->execute("query-block").at(0).at("inserted").at("node-name"); }
    std::string nodes() { return qmp_->execute("query-named-block-nodes", {{"flat", true}}).dump(); }
    [[nodiscard]] InstanceDisk disk() const { return load_record(files_).disks.at(0); }

    // Notes the commands that come; answers each well, or `refused` with an error.
    FakeServer::Answer agent(const std::string& refused = {}, int exit_status = 0, int thawed = 1,
                             const std::string& watchdog = "273\n")
    {
        return [this, refused, exit_status, thawed, told = signing::base64(watchdog)](std::string line) -> std::string {
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
            const Json answer = command == "guest-exec" ? Json{{"pid", 7}}
                                : command == "guest-exec-status"
                                    ? Json{{"exited", true}, {"exitcode", exit_status}, {"out-data", told}}
                                : command == "guest-fsfreeze-thaw" ? Json(thawed)
                                                                   : Json(1);
            return Json{{"return", answer}}.dump() + "\n";
        };
    }
    Commands freezes_and_thaws()
    {
        const std::lock_guard lock(mutex_);
        Commands found;
        std::ranges::copy_if(commands_, std::back_inserter(found),
                             [](const std::string& command) { return command.starts_with("guest-fsfreeze"); });
        return found;
    }
    PointInTime take(const FakeServer::Answer& answers, bool freeze = true)
    {
        FakeServer server("", answers);
        GuestAgent guest(server.path());
        return take_with(guest, freeze);
    }
    PointInTime take_with(GuestAgent& guest, bool freeze)
    {
        PointInTime point;
        take_point_in_time(home_, files_, own_disks(home_, files_), *qmp_, guest, freeze, never,
                           [&](const PointInTime& taken) {
                               point = taken;
                               execs_when_taken_ = count("guest-exec");
                           });
        return point;
    }
    std::ptrdiff_t count(const std::string& command)
    {
        const std::lock_guard lock(mutex_);
        return std::ranges::count(commands_, command);
    }
    // As if nothing had been asked for.
    void expect_as_before()
    {
        EXPECT_EQ(top(), "disk0-1");
        EXPECT_EQ(disk().overlay.filename(), "disk0.1.qcow2");
        EXPECT_EQ(disk().lower.size(), 1U);
        EXPECT_FALSE(fs::exists(files_.disks / "disk0.2.qcow2"));
        EXPECT_THAT(nodes(), testing::Not(testing::HasSubstr("disk0-2")));
        EXPECT_EQ(volume_chain(volume_), std::vector<fs::path>{volume_.disk});
        EXPECT_THAT(nodes(), testing::Not(testing::HasSubstr(volume_id + std::string("-1"))));
    }

    test::TemporaryFolder folder_;
    Paths home_{paths_in(folder_.path())};
    InstancePaths files_{home_, id};
    VolumePaths volume_{home_, volume_id};
    std::optional<WatchedProcess> qemu_;
    std::unique_ptr<QmpClient> qmp_;
    std::mutex mutex_;
    Commands commands_;
    std::ptrdiff_t execs_when_taken_ = 0;
};

TEST_F(PointInTimeTest, WhatIsBelowTheNewTopIsExactlyTheDisk)
{
    const PointInTime taken = take(agent());
    EXPECT_EQ(taken.consistency.kind, "filesystem");
    EXPECT_EQ(taken.consistency.reason, "");
    EXPECT_EQ(freezes_and_thaws(), (Commands{"guest-fsfreeze-freeze", "guest-fsfreeze-thaw"}));
    EXPECT_EQ(top(), "disk0-2");
    EXPECT_EQ(overlays_of(disk()).size(), 3U);
    EXPECT_EQ(disk().lower, taken.disks.at(0).overlays);
    expect_exact(taken.disks.at(0).overlays);
}

TEST_F(PointInTimeTest, AGuestThatCantFreezeGivesACrashConsistentOne)
{
    const PointInTime taken = take(agent("guest-fsfreeze-freeze"));
    EXPECT_EQ(taken.consistency.kind, "crash");
    EXPECT_THAT(taken.consistency.reason, testing::HasSubstr("not today"));
    EXPECT_EQ(taken.consistency.frozen_for.count(), 0);
    expect_exact(taken.disks.at(0).overlays);
}

TEST_F(PointInTimeTest, WithoutAnAgentOrAskedNotToNothingIsFrozen)
{
    GuestAgent nobody(folder_.path() / "no-socket");
    EXPECT_THAT(take_with(nobody, true).consistency.reason, testing::HasSubstr("does not answer"));
    EXPECT_EQ(take(agent(), false).consistency.reason, "asked for with --no-freeze");
    EXPECT_TRUE(commands_.empty());
}

TEST_F(PointInTimeTest, WithoutAWatchdogNothingIsFrozen)
{
    const PointInTime taken = take(agent({}, 64));
    EXPECT_EQ(taken.consistency.kind, "crash");
    EXPECT_THAT(taken.consistency.reason, testing::HasSubstr("no program fsfreeze"));
    for (const std::string told : {"", "none", "0", "-1", "99999999999999999999"}) {
        EXPECT_THAT(take(agent({}, 0, 1, told)).consistency.reason, testing::HasSubstr("did not tell its watchdog"));
    }
    EXPECT_TRUE(freezes_and_thaws().empty());
}

TEST_F(PointInTimeTest, AGuestThatThawedByItselfIsNotCalledConsistent)
{
    const PointInTime taken = take(agent({}, 0, 0));
    EXPECT_EQ(taken.consistency.kind, "crash");
    EXPECT_THAT(taken.consistency.reason, testing::HasSubstr("thawed by something else"));
}

TEST_F(PointInTimeTest, TheHooksForAfterTheThawDoNotKeepTheSnapshotWaiting)
{
    static_cast<void>(take(agent()));
    EXPECT_EQ(execs_when_taken_, 1);
    EXPECT_EQ(count("guest-exec"), 2);
}

// A long sync has taken of the watchdog's time: another takes its place, and the hooks don't run again.
TEST_F(PointInTimeTest, AGuestThatTookLongIsPreparedOnceMore)
{
    std::vector<Json> started;
    const FakeServer::Answer answers = agent();
    FakeServer server("", [&](const std::string& line) {
        std::string answer = answers(line);
        if (line.find("\"guest-exec\"") != line.npos) {
            const std::lock_guard lock(mutex_);
            started.push_back(Json::parse(line).at("arguments").at("arg"));
        }
        return answer;
    });
    GuestAgent guest(server.path());
    {
        GuestFreeze freeze(guest, never, std::chrono::milliseconds(-1));
        EXPECT_EQ(freeze.consistency().reason, "");
    }
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(started.size(), 3U);
    EXPECT_EQ(started[0].at(4), "0");
    EXPECT_EQ(started[1].at(4), "273");
    EXPECT_EQ(started[0].at(1), started[1].at(1));
    EXPECT_EQ(started[2].at(2), "kiln-thaw");
}

TEST_F(PointInTimeTest, AHookThatFailsLeavesAllAsItWas)
{
    EXPECT_THROW(static_cast<void>(take(agent({}, 65))), Error);
    EXPECT_TRUE(freezes_and_thaws().empty());
    expect_as_before();
}

TEST_F(PointInTimeTest, ATransactionThatFailsThawsTheGuestAndLeavesAllAsItWas)
{
    const FakeServer::Answer answers = agent();
    const auto sabotage = [&](const std::string& line) {
        if (line.find("guest-fsfreeze-freeze") != line.npos) {
            qmp_->execute("blockdev-del", {{"node-name", "disk0-2"}});
        }
        return answers(line);
    };
    EXPECT_THROW(static_cast<void>(take(sabotage)), Error);
    EXPECT_EQ(freezes_and_thaws(), (Commands{"guest-fsfreeze-freeze", "guest-fsfreeze-thaw"}));
    expect_as_before();
}

TEST_F(PointInTimeTest, MergingWaitsForReadersAndKeepsTheContent)
{
    const PointInTime taken = take(agent());
    {
        const std::vector<FileLock> reading = lock_for_reading(own_disks(home_, files_), {});
        EXPECT_FALSE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
        EXPECT_EQ(disk().lower.size(), 2U);
    }
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
    EXPECT_EQ(disk().lower, (std::vector<fs::path>{files_.disks / "disk0.qcow2"}));
    EXPECT_EQ(disk().overlay, files_.disks / "disk0.2.qcow2");
    EXPECT_FALSE(fs::exists(files_.disks / "disk0.1.qcow2"));
    EXPECT_EQ(qmp_->execute("query-jobs"), Json::array());
    EXPECT_THAT(nodes(), testing::Not(testing::HasSubstr("disk0-1")));
    stop_qemu();
    expect_exact(overlays_of(disk()));
}

TEST_F(PointInTimeTest, TheChainStaysShortOverManySnapshots)
{
    for (int i = 0; i < 5; ++i) {
        static_cast<void>(take(agent(), false));
        EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
        EXPECT_EQ(overlays_of(disk()).size(), 2U);
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(files_.disks), {}), 3); // two overlays and the readers' lock
    stop_qemu();
    expect_exact(overlays_of(disk()));
}

// What a supervisor leaves that is killed between the record and QEMU's switch.
TEST_F(PointInTimeTest, ASwitchThatDidNotHappenIsTakenOffTheRecord)
{
    const std::vector<OwnDisk> disks = own_disks(home_, files_);
    push_overlays(home_, files_, disks, make_overlays(disks));
    expect_exact(overlays_of(disk())); // as a start would have it
    reconcile_overlays(home_, files_, *qmp_);
    expect_as_before();
}

// What one leaves that is killed when QEMU has merged.
TEST_F(PointInTimeTest, AMergeThatIsNotOnTheRecordIsPutThere)
{
    static_cast<void>(take(agent(), false));
    const Instance before = load_record(files_);
    fs::copy_file(files_.disks / "disk0.1.qcow2", folder_.path() / "kept.qcow2");
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
    fs::copy_file(folder_.path() / "kept.qcow2", files_.disks / "disk0.1.qcow2");
    save_record(files_, before);
    expect_exact(overlays_of(disk())); // as a start would have it
    reconcile_overlays(home_, files_, *qmp_);
    EXPECT_EQ(disk().lower.size(), 1U);
    EXPECT_FALSE(fs::exists(files_.disks / "disk0.1.qcow2"));
}

TEST_F(PointInTimeTest, SnapshotsThatAreNeverReleasedEndInAnError)
{
    for (int i = 0; i < 7; ++i) {
        static_cast<void>(take(agent(), false));
    }
    EXPECT_THROW(static_cast<void>(take(agent(), false)), Error);
}

TEST_F(PointInTimeTest, AVolumeIsPartOfTheMomentAndTakesItsChainAlong)
{
    const PointInTime taken = take(agent(), false);
    ASSERT_EQ(taken.disks.size(), 2U);
    EXPECT_EQ(taken.disks[1].device, "/dev/sdf");
    EXPECT_EQ(taken.disks[1].size, mebibytes(1));
    EXPECT_EQ(taken.disks[1].overlays, std::vector<fs::path>{volume_.disk});
    EXPECT_EQ(volume().lower, taken.disks[1].overlays);
    EXPECT_EQ(volume().overlay, volume_.folder / "disk.1.qcow2");
    EXPECT_EQ(top_nodes(*qmp_, {volume_id}).at(volume_id).name, volume_id + std::string("-1"));
    VolumePlug plug(*qmp_);
    EXPECT_TRUE(plug.plugged(volume_id));
    plug.resize(volume_id, mebibytes(2).bytes()); // and the next one is as large
    EXPECT_EQ(disk_size(volume().overlay), mebibytes(2));
    EXPECT_EQ(take(agent(), false).disks.at(1).size, mebibytes(2));
    EXPECT_EQ(disk_size(volume().overlay), mebibytes(2));
    plug.cut_off(volume_id);
    EXPECT_THAT(nodes_of(*qmp_, volume_id), testing::IsEmpty());
    tool({"qemu-img", "resize", "-q", "-f", "raw", "volume.raw", "2M"});
    expect_exact_volume(overlays_of(volume()));
    require_sound_disk(volume_);
}

TEST_F(PointInTimeTest, AVolumeThatTheGuestHasNotIsLeftAlone)
{
    VolumePlug(*qmp_).cut_off(volume_id);
    EXPECT_EQ(take(agent(), false).disks.size(), 1U);
    EXPECT_EQ(volume_chain(volume_), std::vector<fs::path>{volume_.disk});
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
}

TEST_F(PointInTimeTest, AVolumeIsMergedWhenNobodyReadsItAndNamesNoOtherFileAfterwards)
{
    static_cast<void>(take(agent(), false));
    static_cast<void>(take(agent(), false));
    {
        const auto reading = lock_for_reading({own_disks(home_, files_).at(1)}, {});
        EXPECT_FALSE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
        EXPECT_EQ(disk().lower.size(), 1U);
        EXPECT_EQ(volume().lower.size(), 2U);
    }
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
    EXPECT_EQ(volume_chain(volume_), (std::vector<fs::path>{volume_.disk, volume_.folder / "disk.2.qcow2"}));
    EXPECT_FALSE(fs::exists(volume_.folder / "disk.1.qcow2"));
    stop_qemu();
    expect_exact_volume(overlays_of(volume()));
    require_sound_disk(volume_);
}

TEST_F(PointInTimeTest, AMergeMakesWayForAnotherCommandAndIsDoneLater)
{
    static_cast<void>(take(agent(), false));
    int asked = 0;
    EXPECT_FALSE(merge_overlays(home_, files_, *qmp_, ByteSize(1), [&] { return ++asked > 1; })); // after its start
    EXPECT_EQ(qmp_->execute("query-jobs"), Json::array());
    expect_exact(disk().lower);
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
    EXPECT_EQ(disk().lower.size(), 1U);
    expect_exact(disk().lower);
}

// What a supervisor leaves that is killed while QEMU merges.
TEST_F(PointInTimeTest, AMergeThatWasLeftRunningIsEndedAndDoneAgain)
{
    static_cast<void>(take(agent(), false));
    qmp_->execute("block-commit", {{"job-id", "merge"},
                                   {"device", "disk0-2"},
                                   {"top-node", "disk0-1"},
                                   {"base-node", "disk0"},
                                   {"backing-file", ""},
                                   {"speed", 1},
                                   {"auto-dismiss", false}});
    reconcile_overlays(home_, files_, *qmp_);
    EXPECT_EQ(qmp_->execute("query-jobs"), Json::array());
    EXPECT_EQ(overlays_of(disk()).size(), 3U);
    EXPECT_TRUE(merge_overlays(home_, files_, *qmp_, ByteSize(), never));
    stop_qemu();
    expect_exact(overlays_of(disk()));
}

} // namespace
} // namespace kiln::launcher
