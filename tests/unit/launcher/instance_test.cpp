// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "core/files.h"
#include "launcher/instance_type.h"
#include "launcher/launch.h"
#include "launcher/life/life_lock.h"
#include "launcher/qemu_command.h"
#include "launcher/tags.h"
#include "launcher/usage/history.h"
#include "tests/support/golden.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

std::string lines(const std::vector<std::string>& argv)
{
    std::string text;
    for (const std::string& argument : argv) {
        text += argument + "\n";
    }
    return text;
}

TEST(QemuCommand, IsWholeAndExplicit)
{
    const InstancePaths files(paths_in("/home/a,b/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    test::expect_golden("launcher/qemu-argv-tcg.txt", lines(qemu_argv(instance, files)));
    instance.accelerator = Accelerator::kvm;
    EXPECT_THAT(lines(qemu_argv(instance, files)), testing::HasSubstr("-accel\nkvm\n-cpu\nhost\n"));
}

TEST(QemuCommand, UefiHasItsFirmwareAndVariablesOfItsOwn)
{
    const InstancePaths files(paths_in("/home/a,b/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    instance.boot_mode = "uefi";
    test::expect_golden("launcher/qemu-argv-uefi.txt", lines(qemu_argv(instance, files)));
}

TEST(QemuCommand, Attack34_EachInstanceHasASystemUuidOfItsOwn)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    const std::string one = lines(qemu_argv(instance, files));
    EXPECT_THAT(one, testing::HasSubstr(",uuid=ec201234-5678-49ab-8cde-f0"));
    instance.id = "i-0123456789abcdef1";
    EXPECT_THAT(lines(qemu_argv(instance, files)), testing::HasSubstr(",uuid=ec201234-5678-49ab-8cde-f1"));
}

TEST(QemuCommand, Attack39_NoShellNoTcpAndNothingImplicit)
{
    const InstancePaths files(paths_in("/home/a,b/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    instance.user_data = true;
    const std::vector<std::string> argv = qemu_argv(instance, files);
    EXPECT_THAT(argv, testing::Contains("-nodefaults"));
    EXPECT_THAT(argv, testing::Contains("on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
    for (const std::string& argument : argv) {
        EXPECT_THAT(argument, testing::Not(testing::StartsWith("user,"))); // libslirp is in a process of its own
        EXPECT_THAT(argument, testing::Not(testing::HasSubstr("tcp:")));
        EXPECT_THAT(argument, testing::Not(testing::HasSubstr("host=")));
        EXPECT_THAT(argument, testing::Not(testing::HasSubstr("cmd:")));
    }
}

TEST(QemuCommand, DisksComeInTheOrderOfTheirDevices)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    instance.disks[0].device = "/dev/vdb"; // the root disk
    instance.disks.push_back({"/dev/vda", gibibytes(1), true, files.disks / "disk1.qcow2", {}});
    const std::string argv = lines(qemu_argv(instance, files));
    const auto first = argv.find("virtio-blk-pci,drive=disk1,serial=vda,bootindex=1\n");
    const auto second = argv.find("virtio-blk-pci,drive=disk0,serial=vdb,bootindex=0\n");
    EXPECT_NE(first, std::string::npos);
    EXPECT_NE(second, std::string::npos);
    EXPECT_LT(first, second);
}

TEST(InstanceRecord, Attack13_KeepsThatItsImageWasUnsigned)
{
    Instance instance = small_instance(InstancePaths(paths_in("/home/kiln"), "i-0123456789abcdef0"));
    instance.unsigned_image = "it is unsigned";
    Json json = to_json(instance);
    EXPECT_EQ("it is unsigned", json["unsigned_image"]);
    EXPECT_EQ("it is unsigned", instance_from_json(json).unsigned_image);
    json.erase("unsigned_image"); // a record of before
    EXPECT_EQ(std::nullopt, instance_from_json(json).unsigned_image);
}

TEST(InstanceRecord, GoldenAndRoundTrip)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    const Json json = to_json(small_instance(files));
    test::expect_golden("launcher/instance.json", json.dump(2) + "\n");
    EXPECT_EQ(to_json(instance_from_json(json)), json);
}

TEST(InstanceRecord, RefusesWhatItDoesNotKnow)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    const Json good = to_json(small_instance(files));
    Json newer = good;
    newer["schema"] = 2;
    EXPECT_THROW(static_cast<void>(instance_from_json(newer)), Error);
    for (const auto& [key, value] : good.items()) {
        if (key == "network" || key == "unsigned_image" || key == "volumes" || key == "key_name" || key == "confined" ||
            key == "security_groups" || key == "instance_initiated_shutdown_behavior" || key == "warm") {
            continue; // of before there was the field; the next test
        }
        Json wrong = good;
        wrong.erase(key);
        EXPECT_THROW(static_cast<void>(instance_from_json(wrong)), Error) << "without " << key;
    }
    Json state = good;
    state["state"] = "flying";
    EXPECT_THROW(static_cast<void>(instance_from_json(state)), Error);
    Json boot_mode = good;
    boot_mode["boot_mode"] = "u-boot";
    EXPECT_THROW(static_cast<void>(instance_from_json(boot_mode)), Error);
    Json disks = good;
    disks["disks"][0]["layers"] = {1, 2};
    EXPECT_THROW(static_cast<void>(instance_from_json(disks)), Error);
}

TEST(InstanceRecord, OneOfAnOlderKilnLoads)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    Json old = to_json(small_instance(files));
    for (const char* key :
         {"account_id", "network", "metadata_options", "instance_initiated_shutdown_behavior", "tags", "client_token",
          "forwards", "started", "host_boot_id", "price_per_hour", "disable_api_termination", "state_reason_code"}) {
        old.erase(key);
    }
    const Instance instance = instance_from_json(old);
    EXPECT_EQ(instance.shutdown_behavior, ShutdownBehavior::stop);
    EXPECT_FALSE(instance.termination_protection);
    EXPECT_EQ(instance.network, "qemu"); // libslirp in QEMU itself
    EXPECT_EQ(instance.account_id, "");
    EXPECT_FALSE(instance.metadata.v1);
    EXPECT_EQ(to_json(instance).at("network"), "qemu"); // and stays so when it is saved again
    EXPECT_EQ(instance_from_json(to_json(instance)).network, "qemu");
}

TEST(InstanceRecord, MetadataOptionsAreChecked)
{
    const InstancePaths files(paths_in("/home/kiln"), "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    instance.metadata = {.v1 = true, .hop_limit = 64, .tags = true};
    const Json good = to_json(instance);
    EXPECT_EQ(to_json(instance_from_json(good)), good);
    for (const int hops : {0, 65, -1}) {
        Json wrong = good;
        wrong["metadata_options"]["http_put_response_hop_limit"] = hops;
        EXPECT_THROW(static_cast<void>(instance_from_json(wrong)), Error) << hops;
    }
    Json network = good;
    network["network"] = "bridge";
    EXPECT_THROW(static_cast<void>(instance_from_json(network)), Error);
}

class InstanceList : public testing::Test
{
protected:
    InstanceList()
    {
        fs::create_directories(files_.folder);
        fs::create_directories(files_.run);
        save_record(files_, small_instance(files_));
    }
    test::TemporaryFolder home_;
    Paths paths_ = paths_in(home_.path());
    InstancePaths files_{paths_, "i-0123456789abcdef0"};
};

TEST_F(InstanceList, AGuestWithoutQemuDoesNotRun)
{
    const auto instances = list_instances(paths_);
    ASSERT_EQ(instances.size(), 1U);
    EXPECT_EQ(instances[0].state, InstanceState::stopped);
    EXPECT_THAT(instances[0].state_reason, testing::HasSubstr("its QEMU is gone"));
}

TEST_F(InstanceList, AReusedPidIsNotQemu)
{
    write_file_durably(files_.pid_file, std::to_string(::getpid()) + "\n");
    EXPECT_FALSE(find_qemu(files_, "i-0123456789abcdef0"));
    write_file_durably(files_.pid_file, "no number");
    EXPECT_FALSE(find_qemu(files_, "i-0123456789abcdef0"));
}

TEST_F(InstanceList, FindsByIdAndNameAndSaysWhatThereIs)
{
    EXPECT_EQ(resolve_instance(paths_, "web").id, "i-0123456789abcdef0");
    EXPECT_EQ(resolve_instance(paths_, "i-0123456789abcdef0").name, "web");
    try {
        static_cast<void>(resolve_instance(paths_, "../web\x1b"));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
        EXPECT_STREQ(error.what(), "there is no instance ../web\\x1b");
        EXPECT_THAT(error.hint(), testing::HasSubstr("i-0123456789abcdef0"));
    }
}

TEST_F(InstanceList, TerminateLeavesNothingAlsoTwice)
{
    const Instance instance = resolve_instance(paths_, "web");
    terminate(paths_, instance);
    EXPECT_FALSE(fs::exists(files_.folder));
    EXPECT_FALSE(fs::exists(files_.run));
    EXPECT_NO_THROW(terminate(paths_, instance));
    EXPECT_TRUE(list_instances(paths_).empty());
    // But for the bill.
    ASSERT_EQ(list_terminated(paths_).size(), 1U);
    EXPECT_EQ(resolve_instance(paths_, instance.id).state, InstanceState::terminated);
    EXPECT_THROW(static_cast<void>(resolve_instance(paths_, "web")), Error); // the name is free again
    EXPECT_THAT(read_file(files_.ended / "events.jsonl"), testing::HasSubstr("\"event\":\"terminated\""));
}

TEST_F(InstanceList, AnInterruptedTerminationIsFinishedByTheNext)
{
    update_record(files_, [](Instance& instance) { instance.state = InstanceState::shutting_down; });
    fs::create_directories(files_.disks);
    const Instance instance = resolve_instance(paths_, "web");
    EXPECT_EQ(instance.state, InstanceState::shutting_down);
    EXPECT_THAT(instance.state_reason, testing::HasSubstr("terminate it again"));
    terminate(paths_, instance);
    EXPECT_EQ(resolve_instance(paths_, instance.id).state, InstanceState::terminated);
}

TEST_F(InstanceList, Attack30_AfterARebootOfTheHostTheReasonSaysSo)
{
    update_record(files_, [](Instance& instance) { instance.boot_id = host_boot_id(); });
    EXPECT_THAT(resolve_instance(paths_, "web").state_reason, testing::HasSubstr("killed, or it crashed"));
    update_record(files_, [](Instance& instance) { instance.boot_id = "of another boot"; });
    const Instance seen = resolve_instance(paths_, "web");
    EXPECT_EQ(seen.state, InstanceState::stopped);
    EXPECT_EQ(seen.state_reason, "the host was rebooted while it ran");
    EXPECT_EQ(seen.state_reason_code, "Server.InternalError");
    EXPECT_FALSE(fs::exists(files_.events)); // who only looks writes nothing
}

TEST_F(InstanceList, Attack30_AnEndThatNobodySawIsWrittenDownOnce)
{
    append_event(files_, "running", {{"type", "t3.small"}, {"price_per_hour", "0.0208"}});
    timespec times[2] = {{1'800'000'000, 0}, {1'800'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, files_.events.c_str(), times, 0), 0);
    const Instance settled = settle(files_, "i-0123456789abcdef0");
    EXPECT_EQ(settled.state, InstanceState::stopped);
    const std::string log = read_file(files_.events);
    EXPECT_EQ(settle(files_, settled.id).state, InstanceState::stopped);
    EXPECT_EQ(read_file(files_.events), log);
    EXPECT_THAT(log, testing::HasSubstr("\"event\":\"stopped\""));
}

TEST_F(InstanceList, Attack30_WithoutItsEventTheRecordDoesNotChange)
{
    fs::create_directory(files_.events); // no line can be appended
    EXPECT_THROW(static_cast<void>(settle(files_, "i-0123456789abcdef0")), Error);
    EXPECT_EQ(load_record(files_).state, InstanceState::running);
    EXPECT_THROW(static_cast<void>(change_tags(paths_, "i-0123456789abcdef0", {{"team", "web"}}, {})), Error);
    EXPECT_TRUE(load_record(files_).tags.empty());
}

TEST_F(InstanceList, Attack30_AStartIsWrittenDownOnce)
{
    const auto log = [&] { return read_file(files_.events); };
    append_event(files_, "running", {{"pid", 7}});
    EXPECT_TRUE(says_it_runs(log(), 7));
    EXPECT_FALSE(says_it_runs(log(), 8)); // a later start's, whose end before it was lost
    append_event(files_, "rebooted", Json::object());
    EXPECT_TRUE(says_it_runs(log(), 7));
    append_event(files_, "stopped", Json::object());
    append_event(files_, "stopped", Json::object()); // told again after an accident
    EXPECT_FALSE(says_it_runs(log(), 7));
    ASSERT_EQ(read_history("i-0123456789abcdef0", log()).runs.size(), 1U);
    EXPECT_FALSE(says_it_runs("no log\n{\"event\":\"running\"}\n", 7));
}

TEST_F(InstanceList, AnEventGoesBehindALineThatACrashCutOff)
{
    append_event(files_, "pending", Json::object());
    write_file_durably(files_.events, read_file(files_.events) + "{\"time\":\"20");
    append_event(files_, "running", Json::object());
    const std::string log = read_file(files_.events);
    EXPECT_THAT(log, testing::HasSubstr("{\"time\":\"20\n{\"detail\""));
    EXPECT_EQ(read_history("i-0123456789abcdef0", log).runs.size(), 1U);
}

TEST_F(InstanceList, TagsHaveTheirLimits)
{
    EXPECT_EQ(parse_tags({"team=web", "stage="}), (Tags{{"team", "web"}, {"stage", ""}}));
    EXPECT_EQ(parse_tags({"equation=a=b"}).at("equation"), "a=b");
    for (const char* wrong : {"team", "=web", "aws:x=1", "kiln:x=1", "a\x1b=1", "a=\xe2\x80\xae"}) {
        EXPECT_THROW(static_cast<void>(parse_tags({wrong})), Error) << wrong;
    }
    EXPECT_THROW(static_cast<void>(parse_tags({"a=1", "a=2"})), Error);
    EXPECT_THROW(static_cast<void>(parse_tags({std::string(129, 'k') + "=v"})), Error);
    EXPECT_THROW(static_cast<void>(parse_tags({"k=" + std::string(257, 'v')})), Error);
    std::vector<std::string> many;
    for (int i = 0; i < 50; ++i) {
        many.push_back("k" + std::to_string(i) + "=v");
    }
    EXPECT_EQ(change_tags(paths_, "i-0123456789abcdef0", parse_tags(many), {}).tags.size(), 50U);
    EXPECT_THROW(change_tags(paths_, "i-0123456789abcdef0", {{"one", "more"}}, {}), Error);
    EXPECT_EQ(change_tags(paths_, "i-0123456789abcdef0", {{"one", "more"}}, {"k0", "none"}).tags.size(), 50U);
}

std::string chosen(const std::optional<std::string>& asked, const bundle::LaunchDefaults& launch)
{
    return choose_instance_type(asked, launch).name;
}

TEST(InstanceType, ALaunchGoesByTheRequestThenTheImageThenItsMemory)
{
    EXPECT_EQ(chosen({}, {}), "t3.small");
    EXPECT_EQ(chosen({}, {.instance_type = "t3.nano"}), "t3.nano");
    EXPECT_EQ(chosen("t3.large", {.instance_type = "t3.nano"}), "t3.large");
    EXPECT_EQ(chosen({}, {.minimum_memory = mebibytes(512)}), "t3.small");
    EXPECT_EQ(chosen({}, {.minimum_memory = mebibytes(2049)}), "t3.medium");
    EXPECT_EQ(chosen("t3.medium", {.minimum_memory = gibibytes(4)}), "t3.medium");
}

TEST(InstanceType, LessMemoryThanTheImageNeedsIsRefused)
{
    const auto refusal = [](const std::optional<std::string>& asked, const bundle::LaunchDefaults& launch) {
        try {
            static_cast<void>(choose_instance_type(asked, launch));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::usage);
            return std::string(error.what()) + "; " + error.hint();
        }
        return std::string("no refusal");
    };
    EXPECT_EQ(refusal("t3.micro", {.minimum_memory = gibibytes(4)}),
              "a t3.micro has 1 GiB of memory, and the AMI needs 4 GiB; use --type t3.medium");
    EXPECT_THAT(refusal({}, {.instance_type = "t3.nano", .minimum_memory = gibibytes(4)}),
                testing::StartsWith("a t3.nano has 512 MiB"));
    EXPECT_EQ(refusal({}, {.minimum_memory = gibibytes(64)}),
              "the AMI needs 64 GiB of memory, and no instance type has that; the largest is t3.xlarge with 16 GiB");
    EXPECT_THROW(static_cast<void>(choose_instance_type({}, {.instance_type = "m9.huge"})), Error);
}

TEST(InstanceType, TheDataFileHasThem)
{
    EXPECT_EQ(load_instance_types().size(), 6U);
    EXPECT_EQ(find_instance_type("t3.nano").memory, mebibytes(512));
    EXPECT_EQ(find_instance_type("t3.xlarge").vcpus, 4U);
    try {
        static_cast<void>(find_instance_type("t3.smal"));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
        EXPECT_THAT(error.hint(), testing::StartsWith("did you mean t3.small? the types are t3.nano, "));
    }
}

TEST(InstanceType, TheUserAddsTypes)
{
    const test::TemporaryFolder folder;
    const fs::path file = folder.path() / "instance-types.json";
    EXPECT_EQ(load_instance_types(file).size(), 6U); // there need not be one
    write_file_durably(file, R"({"schema": 2, "types": [
        {"name": "my.big", "vcpus": 8, "memory": "24 GiB", "price_per_hour": "0.5"},
        {"name": "my.tiny", "vcpus": 1, "memory": "128 MiB"}]})");
    EXPECT_EQ(find_instance_type("my.big", file).vcpus, 8U);
    EXPECT_EQ(find_instance_type("my.big", file).price, 500'000);
    EXPECT_EQ(find_instance_type("my.tiny", file).family, "my");
    EXPECT_EQ(load_instance_types(file).front().name, "my.tiny");
    EXPECT_EQ(choose_instance_type({}, {.minimum_memory = gibibytes(20)}, file).name, "my.big");
    for (const char* wrong :
         {R"({"name": "t3.nano", "vcpus": 1, "memory": "1 GiB"})", R"({"name": "a b", "vcpus": 1, "memory": "1 GiB"})",
          R"({"name": "my.x", "vcpus": 0, "memory": "1 GiB"})", R"({"name": "my.x", "vcpus": 1, "memory": "lots"})",
          R"({"name": "my.x", "vcpus": 1, "memory": "1 GiB", "price_per_hour": "-1"})",
          R"({"name": "my.x", "vcpus": 1, "memory": "1 GiB", "colour": "red"})", R"({"vcpus": 1})", "7"}) {
        write_file_durably(file, std::string(R"({"schema": 2, "types": [)") + wrong + "]}");
        EXPECT_THROW(static_cast<void>(load_instance_types(file)), Error) << wrong;
    }
}

TEST(InstanceType, PricesAreExact)
{
    EXPECT_EQ(parse_price("0.0208"), 20'800);
    EXPECT_EQ(parse_price("12"), 12'000'000);
    EXPECT_EQ(parse_price("0.000001"), 1);
    EXPECT_EQ(price_text(20'800), "0.020800");
    for (const char* wrong : {"", "-1", "1.", ".5", "0.0000001", "1e3", "1,5", "99999999999999999999"}) {
        EXPECT_EQ(parse_price(wrong), std::nullopt) << wrong;
    }
}

} // namespace
} // namespace kiln::launcher
