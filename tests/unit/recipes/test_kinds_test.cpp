// SPDX-License-Identifier: Apache-2.0
// The kinds of [[test]], and which recipes get derived tests.
#include "recipe_fixture.h"

#include <algorithm>

namespace kiln::recipes::test
{
namespace
{

std::vector<recipes::Test> tests_of(std::string_view lines)
{
    return parse_recipe(extended(lines), "x.toml").tests;
}

TEST(TestKinds, Port)
{
    const auto tests = tests_of("[[test]]\nport = 22\n[[test]]\nport = 443\ntimeout = \"5min\"\nname = \"tls\"\n");
    EXPECT_EQ(std::get<PortTest>(tests.at(0).check).port, 22);
    EXPECT_EQ(tests.at(0).name, "port 22");
    EXPECT_EQ(std::get<PortTest>(tests.at(1).check).timeout, std::chrono::minutes(5));
    EXPECT_EQ(tests.at(1).name, "tls");
    EXPECT_EQ(summary_of(extended("[[test]]\nport = 0\n[[test]]\nport = 65536\n[[test]]\nport = \"ssh\"\n")),
              "13:8 test[0].port: 0 is out of range | 1 to 65535\n"
              "15:8 test[1].port: 65536 is out of range | 1 to 65535\n"
              "17:8 test[2].port: must be an integer, not a string | write it like 80\n");
}

TEST(TestKinds, Http)
{
    const auto tests = tests_of("[[test]]\nhttp = \"/\"\n[[test]]\nhttp = \"/a?b=1\"\nport = 8080\nstatus = 404\n"
                                "body = \"no.*such\"\n");
    const auto& plain = std::get<HttpTest>(tests.at(0).check);
    EXPECT_EQ(std::tuple(plain.path, plain.port, plain.status, plain.body),
              std::tuple(std::string("/"), 80, 200, std::optional<std::string>()));
    const auto& full = std::get<HttpTest>(tests.at(1).check);
    EXPECT_EQ(std::tuple(full.path, full.port, full.status, full.body),
              std::tuple(std::string("/a?b=1"), 8080, 404, std::optional<std::string>("no.*such")));
    EXPECT_EQ(tests.at(1).name, "http /a?b=1 on port 8080");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nhttp = \"index.html\"\n")).at(0).path, "test[0].http");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nhttp = \"/a b\"\n")).at(0).path, "test[0].http");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nhttp = \"/\"\nbody = \"(\"\n")).at(0).path, "test[0].body");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nhttp = \"/\"\noutput = \"a\"\n")).at(0).path, "test[0].output");
}

TEST(TestKinds, FilesServicesAndUnitsAreCommands)
{
    const auto tests = tests_of("[[test]]\nfile = \"/etc/motd\"\n[[test]]\nservice = \"ssh\"\n[[test]]\n"
                                "unit = \"a.timer\"\nstate = \"failed\"\ntimeout = \"9s\"\n");
    EXPECT_EQ(tests.at(0).name, "file /etc/motd");
    EXPECT_EQ(std::get<RunTest>(tests.at(0).check).timeout, std::chrono::seconds(60));
    EXPECT_EQ(std::get<RunTest>(tests.at(1).check).timeout, std::chrono::minutes(3));
    EXPECT_EQ(std::get<RunTest>(tests.at(2).check).timeout, std::chrono::seconds(9));
    EXPECT_NE(std::get<RunTest>(tests.at(2).check).command.find("'a.timer' failed"), std::string::npos);
    EXPECT_EQ(summary_of(extended("[[test]]\nfile = \"/a\"\nabsent = true\nmode = \"0644\"\n")),
              "14:10 test[0].absent: leaves nothing to look at | remove `absent`, or content, mode, owner and group\n");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nfile = \"/a\"\ncontent = \"[\"\n")).at(0).path, "test[0].content");
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nunit = \"a\"\nstate = \"dead\"\n")).at(0).path, "test[0].state");
}

TEST(TestKinds, ExactlyOne)
{
    EXPECT_EQ(diagnostics_of(extended("[[test]]\nrun = \"a\"\nfile = \"/b\"\n")).at(0).message,
              "is run and file at once");
    EXPECT_EQ(summary_of(extended("[[test]]\nservce = \"a\"\n")).substr(0, 33), "12:1 test[0]: has none of the key");
}

bool has_derived(const std::string& text)
{
    return std::ranges::any_of(parse_recipe(text, "x.toml").tests, &recipes::Test::derived);
}

TEST(DerivedTests, NeedTheGuestAgent)
{
    const std::string agent = "packages = [\"qemu-guest-agent\"]\n";
    EXPECT_FALSE(has_derived(good_recipe));
    EXPECT_TRUE(has_derived(agent + good_recipe));
    EXPECT_TRUE(has_derived(extended("[[step]]\npackages = [\"qemu-guest-agent\"]\n")));
    EXPECT_FALSE(has_derived(agent + extended("[[step]]\nremove = [\"qemu-guest-agent\"]\n")));
    EXPECT_TRUE(has_derived(changed("[base]\nbootstrap = \"debian\"\nsuite = \"bookworm\"\n\n[[storage]]\n"
                                    "size = \"1GiB\"\nfilesystem = \"ext4\"\n",
                                    "[base]\nami = \"debian-12\"\n")));
}

TEST(DerivedTests, AreAskedForOrNot)
{
    EXPECT_TRUE(has_derived("derive_tests = true\n" + good_recipe));
    EXPECT_FALSE(has_derived("derive_tests = false\npackages = [\"qemu-guest-agent\"]\n" + good_recipe));
    EXPECT_EQ(diagnostics_of("derive_tests = \"no\"\n" + good_recipe).at(0).message,
              "must be true or false, not a string");
}

TEST(DerivedTests, FollowFromTheRecipe)
{
    const auto tests = tests_of("[[step]]\npackages = [\"qemu-guest-agent\"]\n[[step]]\nuser = \"a\"\n"
                                "[[step]]\ngroup = \"b\"\n[[step]]\nservice = \"c\"\n"
                                "[[test]]\nname = \"users exist\"\nrun = \"true\"\n");
    std::vector<std::string> names;
    std::ranges::transform(tests, std::back_inserter(names), &recipes::Test::name);
    EXPECT_EQ(names, (std::vector<std::string>{"users exist", "packages are installed", "users exist (2)",
                                               "groups exist", "file systems are mounted",
                                               "services are in their state", "architecture and settings"}));
    EXPECT_FALSE(tests.front().derived);
    EXPECT_TRUE(tests.back().derived);
}

} // namespace
} // namespace kiln::recipes::test
