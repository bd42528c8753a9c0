// SPDX-License-Identifier: Apache-2.0
// What host and clone say to each other. The guest's side of it is hostile.
#include "core/error.h"
#include "core/files.h"
#include "launcher/vpc/vpc.h"
#include "launcher/warm/clone_identity.h"
#include "tests/unit/launcher/fixtures.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace kiln::launcher
{
namespace
{

using testing::HasSubstr;

TEST(CloneMessage, ComesBackWithAnyBytes)
{
    const CloneMessage message{{"seed", std::string("\0\n 7\xff", 5)}, {"empty", ""}, {"file", "a\nb"}, {"file", "c"}};
    bool bad = true;
    EXPECT_EQ(decode(encode(message), bad), message);
    EXPECT_FALSE(bad);
    EXPECT_EQ(*find_value(message, "file"), "a\nb");
    EXPECT_EQ(find_value(message, "none"), nullptr);
}

TEST(CloneMessage, IsWaitedForUntilItIsWhole)
{
    const std::string bytes = encode({{"freeze", ""}, {"seed", std::string(64, 's')}});
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        bool bad = true;
        EXPECT_FALSE(decode(std::string_view(bytes).substr(0, length), bad)) << length;
        EXPECT_FALSE(bad) << length;
    }
}

TEST(CloneMessage, WhatIsNoneIsSeenAtOnce)
{
    for (const std::string bytes :
         {"kiln-clone-2 0\n", "kiln-clone-1 x\n", "kiln-clone-1 -1\n", "kiln-clone-1 99999999999\n",
          "kiln-clone-1 3\na 9", "kiln-clone-1 6\nname\n\n", "kiln-clone-1 6\na 1\nbc", "\n",
          "something that has no end of a line for a long while"}) {
        bool bad = false;
        EXPECT_FALSE(decode(bytes, bad)) << bytes;
        EXPECT_TRUE(bad) << bytes;
    }
}

class CloneAnswers : public testing::Test
{
protected:
    const std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
    const CloneIdentity identity{.machine_id = std::string(32, 'a'),
                                 .host_name = "web",
                                 .mac = "02:01:23:45:67:89",
                                 .address = CloneAddress{"172.31.0.5", "255.255.240.0", "172.31.0.1"},
                                 .launch_keys = "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0"};

    [[nodiscard]] Json answer() const
    {
        return {{"answer", "done"},
                {"machine_id", identity.machine_id},
                {"host_name", identity.host_name},
                {"mac", identity.mac},
                {"card", "enp0s3"},
                {"address", "172.31.0.5"},
                {"clock", 1'789'999'999'750'000'000},
                {"random", std::string(64, '7')}};
    }
    [[nodiscard]] std::string failure_of(const std::string& line) const
    {
        try {
            static_cast<void>(parse_done(line, identity, now));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::launch);
            return error.what();
        }
        return "no failure";
    }
    [[nodiscard]] std::string failure_with(const char* key, const Json& value) const
    {
        Json json = answer();
        json[key] = value;
        return failure_of(json.dump());
    }
};

TEST_F(CloneAnswers, AGoodOne)
{
    const CloneWord word = parse_done(answer().dump(), identity, now);
    EXPECT_EQ(word.machine_id, identity.machine_id);
    EXPECT_EQ(word.random, std::string(64, '7'));
    EXPECT_EQ(word.clock_lag, std::chrono::milliseconds(250));
}

TEST_F(CloneAnswers, OthersAreRefused)
{
    EXPECT_THAT(failure_with("machine_id", std::string(32, 'b')), HasSubstr("machine id"));
    EXPECT_THAT(failure_with("mac", "02:00:00:00:00:01"), HasSubstr("MAC address"));
    EXPECT_THAT(failure_with("address", "10.0.2.15"), HasSubstr("has the address 10.0.2.15 instead of 172.31.0.5"));
    EXPECT_THAT(failure_with("random", "7"), HasSubstr("no random bytes"));
    EXPECT_THAT(failure_with("random", 7), HasSubstr("\"random\""));
    EXPECT_THAT(failure_with("clock", 0), HasSubstr("ms off"));
    EXPECT_THAT(failure_with("clock", std::numeric_limits<std::int64_t>::min()), HasSubstr("ms off"));
    EXPECT_THAT(failure_with("clock", 1e300), HasSubstr("\"clock\""));
    EXPECT_THAT(failure_with("answer", "frozen"), HasSubstr("\"done\" is due"));
    EXPECT_THAT(failure_of("not JSON"), HasSubstr("not valid JSON"));
    EXPECT_THAT(failure_of("[]"), HasSubstr("answer"));
    EXPECT_THAT(failure_of(std::string(100'000, '[')), HasSubstr("more than is an answer"));
}

TEST_F(CloneAnswers, TheGuestsWordsCantDriveATerminal)
{
    EXPECT_EQ(failure_of(R"({"answer":"failed","reason":"\u001b[2Jboo"})"), "in the guest: \\x1b[2Jboo");
    Json json = answer();
    json["host_name"] = "a\nb";
    EXPECT_EQ(parse_done(json.dump(), identity, now).host_name, "a\\x0ab");
}

TEST_F(CloneAnswers, OfTheMachineThatGoesOn)
{
    const CloneMessage message = thaw_message(now + std::chrono::milliseconds(250));
    EXPECT_NE(find_value(message, "thaw"), nullptr);
    EXPECT_EQ(*find_value(message, "time"), "1790000000 250000000");
    EXPECT_EQ(message.size(), 2U) << "nothing of an identity";
    EXPECT_NO_THROW(parse_thawed(R"({"answer":"thawed"})"));
    for (const std::string hostile :
         {R"({"answer":"frozen"})", R"({"answer":7})", "{}", "[]", "", "thawed", R"({"answer":"failed","reason":7})"}) {
        EXPECT_THROW(parse_thawed(hostile), Error) << hostile;
    }
    EXPECT_THROW(parse_thawed(std::string(100'000, ' ') + R"({"answer":"thawed"})"), Error);
    try {
        parse_thawed(R"({"answer":"failed","reason":"\u001b[2Jsetting the clock"})");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::launch);
        EXPECT_STREQ(error.what(), "in the guest: \\x1b[2Jsetting the clock");
    }
}

TEST_F(CloneAnswers, OnlyKnownHostKeysAreMade)
{
    const AgentReady ready = parse_ready(R"({"answer":"ready","host_key_types":["ed25519","rsa"],"cloud_init":true})");
    EXPECT_THAT(ready.host_key_types, testing::ElementsAre("ed25519", "rsa"));
    EXPECT_TRUE(ready.cloud_init);
    EXPECT_THROW(
        static_cast<void>(parse_ready(R"({"answer":"ready","host_key_types":["-f/etc/passwd"],"cloud_init":true})")),
        Error);
    EXPECT_THROW(static_cast<void>(parse_ready(R"({"answer":"ready","host_key_types":[7],"cloud_init":true})")), Error);
    EXPECT_THROW(static_cast<void>(parse_ready(R"({"answer":"ready","host_key_types":[]})")), Error);
}

TEST(CloneIdentity, IsWhatAColdLaunchGives)
{
    const test::TemporaryFolder home;
    const Paths paths = paths_in(home.path());
    const InstancePaths files(paths, "i-0123456789abcdef0");
    Instance instance = small_instance(files);
    make_directories(files.ssh, 0700);
    write_file_durably(files.ssh / "id_ed25519.pub", "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0\n");
    WarmTemplate one;
    one.instance_id = "i-0000000000000000f";
    one.launch_key = "ssh-ed25519 BBBB kiln-launch-key i-0000000000000000f";

    CloneIdentity identity = identity_of(instance, paths, one);
    EXPECT_THAT(identity.machine_id, testing::MatchesRegex("ec20123456784[0-9a-f]{19}"));
    EXPECT_EQ(identity.host_name, instance.id); // as DHCP gives it
    EXPECT_EQ(identity.mac, mac_address(instance.id));
    EXPECT_FALSE(identity.cloud_init);

    one.cloud_init = true;
    instance.user_data = true;
    identity = identity_of(instance, paths, one);
    EXPECT_EQ(identity.host_name, "web"); // as the metadata service gives it
    EXPECT_TRUE(identity.cloud_init);

    const CloneMessage message =
        identity_message(instance, one, identity, {{"ed25519", "SECRET", "PUBLIC"}}, std::string(64, 's'),
                         std::chrono::system_clock::time_point(std::chrono::milliseconds(1'790'000'000'250)));
    EXPECT_EQ(*find_value(message, "time"), "1790000000 250000000");
    EXPECT_EQ(*find_value(message, "old-mac"), mac_address("i-0000000000000000f"));
    EXPECT_EQ(*find_value(message, "file"), "0600 /etc/ssh/ssh_host_ed25519_key\nSECRET");
    EXPECT_EQ(*find_value(message, "cloud-init"), "anew");
    EXPECT_EQ(*find_value(message, "launch-keys"), "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0");

    const std::string both = "ssh-rsa CCCC mine kiln-launch-key i-0123456789abcdef0\n" + identity.launch_keys;
    write_file_durably(files.authorized_keys, both + "\n");
    instance.key_name = "mine";
    identity = identity_of(instance, paths, one);
    EXPECT_EQ(identity.launch_keys, both);
    EXPECT_FALSE(identity.address);

    instance.vpc_id = create_vpc(paths, "web", "10.1.2.0/24").id;
    instance.private_ip_address = "10.1.2.7";
    identity = identity_of(instance, paths, one);
    EXPECT_EQ(*find_value(identity_message(instance, one, identity, {}, "", {}), "address"),
              "10.1.2.7 255.255.255.0 10.1.2.1");
}

} // namespace
} // namespace kiln::launcher
