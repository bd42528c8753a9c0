// SPDX-License-Identifier: Apache-2.0
// Malformed, missing and late answers of QEMU's monitor: an error, never a crash or a hang (attack 38).
#include "core/error.h"
#include "core/qmp_client.h"
#include "tests/support/fake_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln
{
namespace
{

constexpr std::chrono::milliseconds short_limit{200};
const std::string greeting = "{\"QMP\":{}}\n";

// Answers the negotiation well and everything else with `answer`.
FakeServer::Answer then(const std::string& answer)
{
    return [answer](const std::string& line) {
        return line.find("qmp_capabilities") != std::string::npos ? "{\"return\":{}}\n" : answer;
    };
}

std::string failure_of(const std::string& answer)
{
    FakeServer server(greeting, then(answer));
    QmpClient client(JsonSocket::connect(server.path(), "QEMU"));
    try {
        client.execute("query-jobs", Json::object(), short_limit);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::launch);
        return error.what();
    }
    return "no failure";
}

TEST(QmpClient, SkipsEventsBeforeTheAnswer)
{
    FakeServer server(greeting, then("{\"event\":\"RESUME\"}\n{\"event\":\"STOP\"}\n{\"return\":[1]}\n"));
    QmpClient client(JsonSocket::connect(server.path(), "QEMU"));
    EXPECT_EQ(client.execute("query-jobs"), Json::array({1}));
}

TEST(QmpClient, Attack38_AnswersThatAreNone)
{
    EXPECT_EQ(failure_of(""), "QEMU did not answer in time");
    EXPECT_EQ(failure_of("{\"event\":\"A\"}\n"), "QEMU did not answer in time");
    EXPECT_EQ(failure_of("close"), "QEMU closed the connection");
    EXPECT_THAT(failure_of("{\"return\":\n"), testing::HasSubstr("not valid JSON"));
    EXPECT_THAT(failure_of("[]\n"), testing::HasSubstr("not QMP"));
    EXPECT_THAT(failure_of(std::string(100'000, '[') + "\n"), testing::HasSubstr("nested"));
    EXPECT_THAT(failure_of("{\"error\":7}\n"), testing::HasSubstr("no description"));
}

TEST(QmpClient, AnErrorsWordsCantDriveATerminal)
{
    EXPECT_EQ(failure_of("{\"error\":{\"desc\":\"\\u001b[2Jboo\"}}\n"), "QEMU refused query-jobs: \\x1b[2Jboo");
}

TEST(QmpClient, Attack38_WantsTheGreeting)
{
    FakeServer server("{}\n", then(""));
    EXPECT_THROW(QmpClient(JsonSocket::connect(server.path(), "QEMU")), Error);
    EXPECT_THROW(static_cast<void>(JsonSocket::connect("/nonexistent/socket", "QEMU")), Error);
    EXPECT_THROW(static_cast<void>(JsonSocket::connect(std::string(200, 'x'), "QEMU")), Error);
}

TEST(QmpClient, KeepsEventsThatCameBesideAnswers)
{
    FakeServer server(greeting, then("{\"event\":\"RESET\",\"data\":{}}\n{\"return\":{}}\n{\"event\":\"SHUTDOWN\"}\n"));
    QmpClient client(JsonSocket::connect(server.path(), "QEMU"));
    client.execute("query-jobs", Json::object(), short_limit);
    std::vector<Json> events;
    for (int i = 0; i < 100 && events.size() < 2; ++i) { // the second may be on its way
        for (Json& event : client.take_events()) {
            events.push_back(std::move(event));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].at("event"), "RESET");
    EXPECT_EQ(events[1].at("event"), "SHUTDOWN");
    EXPECT_TRUE(client.take_events().empty());
}

TEST(QmpClient, TakesEventsAlsoWhenQemuHasGone)
{
    FakeServer server(greeting, then("close"));
    QmpClient client(JsonSocket::connect(server.path(), "QEMU"));
    EXPECT_THROW(client.execute("quit", Json::object(), short_limit), Error);
    EXPECT_TRUE(client.take_events().empty());
}

} // namespace
} // namespace kiln
