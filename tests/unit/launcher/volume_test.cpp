// SPDX-License-Identifier: Apache-2.0
// Volumes' records, and what becomes of those that a killed command left half done.
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/storage/volume_files.h"
#include "launcher/storage/volume_request.h"
#include "launcher/storage/volume_store.h"
#include "launcher/usage/usage.h"
#include "launcher/usage/volume_history.h"
#include "tests/support/golden.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

constexpr const char* instance_id = "i-0123456789abcdef0";
constexpr const char* volume_id = "vol-0123456789abcdef0";

Volume data_volume()
{
    Volume volume;
    volume.id = volume_id;
    volume.name = "db-vdb";
    volume.state = VolumeState::in_use;
    volume.size = gibibytes(1);
    volume.type = "io2";
    volume.tags = {{"team", "data"}};
    volume.created = "2026-11-23T17:44:58Z";
    volume.source = VolumeSource{"ami-0123456789abcdef0", "/dev/vdb"};
    volume.attachment = Attachment{.instance_id = instance_id,
                                   .device = "/dev/vdb",
                                   .state = AttachmentState::attached,
                                   .delete_on_termination = false,
                                   .since = "2026-11-23T17:44:58Z",
                                   .mapping = 1};
    return volume;
}

// A home with that volume in it, and its instance.
class StoredVolume : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-img")) {
            GTEST_SKIP() << "qemu-utils is not installed";
        }
        fs::create_directories(files_.folder);
        create_volume_disk(files_.disk, volume_.size, {}, {});
        save_volume(files_, volume_);
        fs::create_directories(instance_files_.folder);
        save_record(instance_files_, small_instance(instance_files_));
    }
    void remove_instance() { fs::remove_all(instance_files_.folder); }
    [[nodiscard]] std::string events() const { return fs::exists(files_.events) ? read_file(files_.events) : ""; }

    test::TemporaryFolder home_;
    Paths paths_ = paths_in(home_.path());
    VolumePaths files_{paths_, volume_id};
    InstancePaths instance_files_{paths_, instance_id};
    Volume volume_ = data_volume();
};

TEST(VolumeRecord, GoldenAndRoundTrip)
{
    const Json json = to_json(data_volume());
    test::expect_golden("launcher/volume.json", json.dump(2) + "\n");
    EXPECT_EQ(to_json(volume_from_json(json)), json);
    Volume plain = data_volume();
    plain.name.reset();
    plain.source.reset();
    plain.attachment.reset();
    EXPECT_EQ(to_json(volume_from_json(to_json(plain))), to_json(plain));
}

TEST(VolumeRecord, RefusesWhatIsNone)
{
    const Json good = to_json(data_volume());
    for (const auto& [key, value] : good.items()) {
        Json wrong = good;
        wrong.erase(key);
        EXPECT_THROW(static_cast<void>(volume_from_json(wrong)), Error) << "without " << key;
    }
    const auto refused = [&](const char* pointer, const Json& value) {
        Json wrong = good;
        wrong[Json::json_pointer(pointer)] = value;
        EXPECT_THROW(static_cast<void>(volume_from_json(wrong)), Error) << pointer;
    };
    refused("/schema", 2);
    refused("/volume_id", "../../etc");
    refused("/state", "gone");
    refused("/size", -1);
    refused("/volume_type", "gp9");
    refused("/tags", {{"a", 1}});
    refused("/attachment/instance_id", "i-1/../..");
    refused("/attachment/state", "stuck");
    refused("/attachment/mapping", -1);
    refused("/attachment/mapping", 65);
}

TEST(VolumeNames, SerialSizesAndDevices)
{
    EXPECT_EQ(volume_serial(volume_id), "vol0123456789abcdef0"); // 20 bytes, all that virtio has room for
    EXPECT_NO_THROW(require_volume_size(mebibytes(1)));
    for (const ByteSize size : {ByteSize(0), ByteSize(1 << 19), ByteSize((1 << 20) + 1), gibibytes(65 * 1024)}) {
        EXPECT_THROW(require_volume_size(size), Error) << size.bytes();
    }
    for (const char* device : {"/dev/sdf", "/dev/xvdb", "/dev/vdz"}) {
        EXPECT_NO_THROW(require_volume_device(device)) << device;
    }
    for (const char* device :
         {"", "/dev/sda", "/dev/sd", "/dev/sdff", "sdf", "/dev/nvme1n1", "/dev/sd\n", "/dev/sdF"}) {
        EXPECT_THROW(require_volume_device(device), Error) << device;
    }
}

TEST(VolumeRequests, AreParsed)
{
    const VolumeRequests requests =
        parse_volume_requests({"/dev/vda=8GiB", "/dev/vdb=vol-1,delete-on-termination=yes",
                               "/dev/sdf=10GiB,delete-on-termination=no", "/dev/vdc=,delete-on-termination=no"});
    EXPECT_EQ(requests.at("/dev/vda").size, gibibytes(8));
    EXPECT_FALSE(requests.at("/dev/vda").volume);
    EXPECT_EQ(requests.at("/dev/vdb").volume, "vol-1");
    EXPECT_EQ(requests.at("/dev/vdb").delete_on_termination, true);
    EXPECT_EQ(requests.at("/dev/sdf").delete_on_termination, false);
    EXPECT_FALSE(requests.at("/dev/vdc").size);
    for (const char* wrong : {"", "/dev/vda", "=8GiB", "/dev/vda=", "/dev/vda=8GiB,", "/dev/vda=8GiB,type=gp3",
                              "/dev/vda=8GiB,delete-on-termination", "/dev/vda=8GiB,delete-on-termination=maybe"}) {
        EXPECT_THROW(static_cast<void>(parse_volume_requests({wrong})), Error) << wrong;
    }
    EXPECT_THROW(static_cast<void>(parse_volume_requests({"/dev/vda=8GiB", "/dev/vda=9GiB"})), Error);
}

TEST(VolumeRequests, FitTheAmi)
{
    const std::vector<bundle::BlockDeviceMapping> mappings{{.device = "/dev/vda", .size = gibibytes(2)},
                                                           {.device = "/dev/vdb", .size = gibibytes(1)}};
    const auto refusal = [&](const std::vector<std::string>& texts) {
        try {
            require_volume_requests(mappings, parse_volume_requests(texts));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::usage);
            return std::string(error.what()) + "; " + error.hint();
        }
        return std::string("no refusal");
    };
    EXPECT_EQ(refusal({"/dev/vda=2GiB", "/dev/vdb=3GiB", "/dev/sdf=1GiB", "/dev/sdg=data"}), "no refusal");
    EXPECT_EQ(refusal({"/dev/vda=1GiB"}),
              "the AMI's volume /dev/vda has 2 GiB, and 1 GiB is smaller; a volume can only grow");
    EXPECT_EQ(refusal({"/dev/vdz=,delete-on-termination=no"}),
              "the AMI has no volume /dev/vdz; its volumes are /dev/vda, /dev/vdb; a new one needs a size");
    EXPECT_THAT(refusal({"/dev/vda=3221225473B"}), testing::HasSubstr("multiple of 512"));
    EXPECT_THAT(refusal({"/dev/vda=66560GiB"}), testing::HasSubstr("at most"));
    EXPECT_THAT(refusal({"/dev/sdb=1GiB"}), testing::HasSubstr("is taken by another volume")); // vdb is there
    EXPECT_THAT(refusal({"/dev/sdf=1GiB", "/dev/xvdf=1GiB"}), testing::HasSubstr("is taken by another volume"));
    EXPECT_THAT(refusal({"/dev/sdf=data", "/dev/sdg=data"}), testing::HasSubstr("named twice"));
    EXPECT_THAT(refusal({"/etc/passwd=1GiB"}), testing::HasSubstr("no device for a volume"));
}

TEST_F(StoredVolume, LaunchesGetDisksVolumesAndThoseThatExist)
{
    volume_.attachment.reset();
    volume_.state = VolumeState::available;
    save_volume(files_, volume_);
    const std::vector<bundle::BlockDeviceMapping> mappings{
        {.device = "/dev/vda", .size = gibibytes(2)},
        {.device = "/dev/vdb", .size = gibibytes(1), .volume_type = "io2", .delete_on_termination = false},
        {.device = "/dev/vdc", .size = gibibytes(1)}};
    const PlannedStorage storage = plan_storage(
        paths_, mappings, parse_volume_requests({"/dev/vdc=db-vdb", "/dev/sdf=3GiB"}),
        [](const bundle::BlockDeviceMapping& mapping) { return std::vector<fs::path>{"/registry" + mapping.device}; });
    ASSERT_EQ(storage.disks.size(), 1U);
    EXPECT_EQ(storage.disks[0].layers, std::vector<fs::path>{"/registry/dev/vda"});
    ASSERT_EQ(storage.volumes.size(), 3U);
    EXPECT_TRUE(storage.volumes[0].is_new);
    EXPECT_EQ(storage.volumes[0].volume.type, "io2");
    EXPECT_EQ(storage.volumes[0].layers, std::vector<fs::path>{"/registry/dev/vdb"});
    EXPECT_EQ(storage.volumes[0].volume.attachment->mapping, 1U);
    EXPECT_FALSE(storage.volumes[0].volume.attachment->delete_on_termination);
    EXPECT_FALSE(storage.volumes[1].is_new);
    EXPECT_EQ(storage.volumes[1].volume.id, volume_id);
    EXPECT_TRUE(storage.volumes[1].layers.empty());
    EXPECT_FALSE(storage.volumes[1].volume.attachment->delete_on_termination); // not the AMI's to delete
    EXPECT_TRUE(storage.volumes[2].is_new);
    EXPECT_TRUE(storage.volumes[2].volume.attachment->delete_on_termination);
    EXPECT_FALSE(storage.volumes[2].volume.attachment->mapping);
}

TEST_F(StoredVolume, StandsWhereTheAmiHasItAndIsNotStoredWithTheInstance)
{
    Instance instance = small_instance(instance_files_);
    instance.disks.push_back({.device = "/dev/vdc", .size = gibibytes(1), .overlay = "/disk1", .layers = {}});
    Instance seen = with_volumes(paths_, instance);
    ASSERT_EQ(seen.disks.size(), 3U);
    EXPECT_EQ(seen.disks[1].volume_id, volume_id);
    EXPECT_EQ(seen.disks[1].overlay, files_.disk);
    EXPECT_TRUE(seen.volumes.empty());

    save_record(instance_files_, seen);
    EXPECT_EQ(load_record(instance_files_).disks.size(), 2U);
    EXPECT_EQ(resolve_instance(paths_, instance_id).disks.size(), 3U);

    volume_.attachment->mapping.reset();
    save_volume(files_, volume_);
    seen = with_volumes(paths_, instance);
    EXPECT_EQ(seen.disks.size(), 2U);
    ASSERT_EQ(seen.volumes.size(), 1U);
    EXPECT_EQ(seen.volumes[0].size, gibibytes(1));

    volume_.attachment->state = AttachmentState::busy; // it is to go
    save_volume(files_, volume_);
    EXPECT_TRUE(with_volumes(paths_, instance).volumes.empty());
}

TEST_F(StoredVolume, Attack30_IsFreeWhenItsInstanceIsGone)
{
    EXPECT_EQ(resolve_volume(paths_, "db-vdb").state, VolumeState::in_use);
    remove_instance();
    EXPECT_EQ(resolve_volume(paths_, "db-vdb").state, VolumeState::available); // only looked at
    EXPECT_EQ(load_volume(files_).state, VolumeState::in_use);
    const auto settled = settle_volume(paths_, volume_id);
    ASSERT_TRUE(settled);
    EXPECT_EQ(settled->state, VolumeState::available);
    EXPECT_FALSE(load_volume(files_).attachment);
    EXPECT_THAT(events(), testing::HasSubstr("detached"));
}

TEST_F(StoredVolume, Attack30_GoesWithALaunchThatCameToNothing)
{
    volume_.state = VolumeState::creating;
    save_volume(files_, volume_);
    sweep_volumes(paths_); // its instance is there: it is in use
    EXPECT_EQ(load_volume(files_).state, VolumeState::in_use);
    EXPECT_THAT(events(), testing::HasSubstr("created"));

    save_volume(files_, volume_);
    remove_instance();
    {
        const FileLock launch(files_.lock, FileLock::Wait::fail);
        sweep_volumes(paths_);
        EXPECT_TRUE(fs::exists(files_.disk)); // somebody is at work
    }
    sweep_volumes(paths_);
    EXPECT_FALSE(fs::exists(files_.folder));
    EXPECT_FALSE(fs::exists(files_.ended)); // nothing to bill
}

TEST_F(StoredVolume, Attack30_ADeletionIsFinished)
{
    volume_.state = VolumeState::deleting;
    volume_.attachment.reset();
    save_volume(files_, volume_);
    EXPECT_EQ(settle_volume(paths_, volume_id), std::nullopt);
    EXPECT_FALSE(fs::exists(files_.folder));
    EXPECT_TRUE(fs::exists(files_.ended / "events.jsonl"));
    EXPECT_FALSE(fs::exists(files_.ended / "disk.qcow2"));
}

TEST_F(StoredVolume, Attack30_AResizeIsFinished)
{
    run_or_throw({.argv = {"qemu-img", "resize", "-q", "-f", "qcow2", files_.disk.native(), "2G"}}, "growing");
    const auto settled = settle_volume(paths_, volume_id);
    ASSERT_TRUE(settled);
    EXPECT_EQ(settled->size, gibibytes(2));
    EXPECT_THAT(events(), testing::HasSubstr("resized"));
}

TEST_F(StoredVolume, IsKeptOrDeletedWithItsInstance)
{
    release_volumes(paths_, instance_id);
    EXPECT_EQ(load_volume(files_).state, VolumeState::available);
    EXPECT_EQ(load_volume(files_).name, "db-vdb");
    volume_.attachment->delete_on_termination = true;
    save_volume(files_, volume_);
    release_volumes(paths_, "i-ffffffffffffffff0"); // another's
    EXPECT_TRUE(fs::exists(files_.disk));
    release_volumes(paths_, instance_id);
    EXPECT_FALSE(fs::exists(files_.folder));
}

TEST_F(StoredVolume, NamesAreUnique)
{
    try {
        require_volume_name(paths_, "db-vdb");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::conflict);
    }
    EXPECT_NO_THROW(require_volume_name(paths_, "db-vdc"));
    for (const char* name : {"", "-a", "A", "vol-1", "a b", "../a"}) {
        EXPECT_THROW(require_volume_name(paths_, name), Error) << name;
    }
}

TEST_F(StoredVolume, NoOtherFileIsOpenedThroughItsDisk)
{
    EXPECT_NO_THROW(require_sound_disk(files_));
    const auto refused = [&] {
        try {
            require_sound_disk(files_);
        } catch (const Error& error) {
            return error.kind() == ErrorKind::damaged;
        }
        return false;
    };
    fs::remove(files_.disk);
    EXPECT_TRUE(refused());
    run_or_throw({.argv = {"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw",
                           files_.disk.native(), "1G"}},
                 "making a disk that names another file");
    EXPECT_TRUE(refused());
    fs::remove(files_.disk);
    fs::create_symlink("/etc/passwd", files_.disk);
    EXPECT_TRUE(refused());
}

TEST(VolumeUsage, HasGibHoursOfEachSize)
{
    const auto event = [](const char* time, const char* name, const Json& detail) {
        return Json{{"time", time}, {"event", name}, {"detail", detail}}.dump() + "\n";
    };
    const Json bill = {{"bytes", gibibytes(2).bytes()}, {"name", "data"}, {"tags", {{"team", "web"}}}};
    Json larger = bill;
    larger["bytes"] = gibibytes(4).bytes();
    const std::string log = event("2026-11-01T10:00:00Z", "created", bill) + "{cut of\n" +
                            event("2026-11-01T10:30:00Z", "attached", Json::object()) +
                            event("2026-11-01T11:00:00Z", "resized", larger);
    const VolumeHistory history = read_volume_history(volume_id, log);
    ASSERT_EQ(history.spans.size(), 2U);
    EXPECT_EQ(history.name, "data");
    const auto hours = [](const VolumeHistory& of, const std::string& by) {
        const auto rows =
            add_up({}, by, {}, std::chrono::sys_days(std::chrono::year{2026} / 11 / 1) + std::chrono::hours(12), {of});
        return rows.at(0).key + " " + rows.at(0).gib_hours_text();
    };
    EXPECT_EQ(hours(history, "instance"), "vol-0123456789abcdef0 6.000");
    EXPECT_EQ(hours(history, "type"), "(volumes) 6.000");
    EXPECT_EQ(hours(history, "tag:team"), "web 6.000");
    EXPECT_EQ(hours(history, "day"), "2026-11-01 6.000");
    const std::string deleted = event("2026-11-01T11:30:00Z", "deleted", Json::object());
    // A deletion that was finished by the next command is written twice.
    EXPECT_EQ(
        hours(read_volume_history(volume_id, log + deleted + event("2026-11-01T11:45:00Z", "deleted", {})), "instance"),
        "vol-0123456789abcdef0 4.000");
}

} // namespace
} // namespace kiln::launcher
