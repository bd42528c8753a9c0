// SPDX-License-Identifier: Apache-2.0
// The guest agent's word is the guest's, and hostile.
#include "core/error.h"
#include "launcher/guest_agent.h"
#include "tests/support/fake_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::milliseconds short_limit{300};

// An agent that synchronizes, after an answer to somebody else, and answers the rest by `answers`.
FakeServer::Answer agent(std::function<std::string(const std::string& command)> answers)
{
    return [answers = std::move(answers)](std::string line) -> std::string {
        line.erase(0, line.rfind('\xff') + 1);
        const Json request = Json::parse(line);
        const std::string command = request.at("execute");
        if (command == "guest-sync-delimited") {
            return "{\"return\":17}\n\xff" + Json{{"return", request.at("arguments").at("id")}}.dump() + "\n";
        }
        return answers(command);
    };
}

ExecResult exec_with(const std::string& status)
{
    FakeServer server("", agent([&](const std::string& command) -> std::string {
                          return (command == "guest-exec" ? R"({"return":{"pid":5}})" : status) + "\n";
                      }));
    GuestAgent client(server.path());
    return client.exec({"/bin/true"}, "", short_limit, [] { return false; });
}

TEST(GuestAgent, StatusSignalAndOutputComeBack)
{
    const ExecResult exited =
        exec_with(R"({"return":{"exited":true,"exitcode":3,"out-data":"b3V0","err-data":"ZXJy"}})");
    EXPECT_EQ(exited.status, 3);
    EXPECT_EQ(exited.output, "out");
    EXPECT_EQ(exited.errors, "err");
    EXPECT_FALSE(exited.truncated);
    const ExecResult killed = exec_with(R"({"return":{"exited":true,"signal":9,"out-truncated":true}})");
    EXPECT_EQ(killed.status, 137);
    EXPECT_TRUE(killed.truncated);
}

TEST(GuestAgent, Attack38_HostileAnswersAreErrors)
{
    for (const char* status :
         {R"({"return":{"exited":true,"exitcode":0,"out-data":"%%%"}})", R"({"return":{"exited":true,"exitcode":"0"}})",
          R"({"return":{"exited":true}})", R"({"return":{"exited":"yes"}})", R"({"return":[]})", R"({"return":7})",
          R"([])", "{", R"({"error":{"desc":3}})", R"({"error":[]})", ""}) {
        EXPECT_THROW(static_cast<void>(exec_with(status)), Error) << status;
    }
}

TEST(GuestAgent, ACommandWithoutAnEndEndsAtItsLimit)
{
    try {
        static_cast<void>(exec_with(R"({"return":{"exited":false}})"));
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("did not end"));
    }
}

TEST(GuestAgent, Attack38_SilenceIsNoAnswerAndTheNextRequestSynchronizesAnew)
{
    int pings = 0;
    FakeServer server("", agent([&](const std::string&) { return ++pings == 1 ? "" : "{\"return\":{}}\n"; }));
    GuestAgent client(server.path());
    EXPECT_FALSE(client.answers(short_limit));
    EXPECT_TRUE(client.answers(std::chrono::seconds(5)));
    EXPECT_FALSE(GuestAgent("/nonexistent/agent").answers(short_limit));
}

TEST(GuestAgent, WhatItWouldRefuseWhileItIsFrozenWaitsForTheThaw)
{
    std::vector<std::string> commands; // of one connection, so in order
    FakeServer server("", agent([&](const std::string& command) -> std::string {
                          commands.push_back(command);
                          return (command == "guest-exec"          ? R"({"return":{"pid":5}})"
                                  : command == "guest-exec-status" ? R"({"return":{"exited":true,"exitcode":0}})"
                                                                   : R"({"return":1})") +
                                 std::string("\n");
                      }));
    GuestAgent client(server.path());
    EXPECT_EQ(client.freeze(short_limit), 1);
    EXPECT_TRUE(client.answers(short_limit));
    EXPECT_THROW(static_cast<void>(client.execute("guest-info", Json::object(), std::chrono::milliseconds(20))), Error);
    auto running = std::async(std::launch::async, [&] {
        return client.exec({"/bin/true"}, "", std::chrono::seconds(10), [] { return false; });
    });
    EXPECT_EQ(running.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
    EXPECT_EQ(client.thaw(short_limit), 1);
    EXPECT_EQ(running.get().status, 0);
    EXPECT_THAT(commands, testing::ElementsAre("guest-fsfreeze-freeze", "guest-ping", "guest-fsfreeze-thaw",
                                               "guest-exec", "guest-exec-status"));
}

TEST(GuestAgent, AThawThatFailsLeavesNobodyWaiting)
{
    FakeServer server("", agent([](const std::string& command) -> std::string {
                          return command == "guest-info" ? "{\"return\":{}}\n" : "{\"error\":{\"desc\":\"no\"}}\n";
                      }));
    GuestAgent client(server.path());
    EXPECT_THROW(client.freeze(short_limit), Error);
    EXPECT_THROW(client.thaw(short_limit), Error);
    EXPECT_EQ(client.execute("guest-info", Json::object(), short_limit), Json::object());
}

} // namespace
} // namespace kiln::launcher
