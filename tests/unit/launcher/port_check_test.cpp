// SPDX-License-Identifier: Apache-2.0
// Forwards with a fake monitor, and ports with servers that behave as libslirp does for a guest's.
#include "core/error.h"
#include "launcher/port_check.h"
#include "launcher/port_forward.h"
#include "tests/support/fake_server.h"
#include "tests/support/tcp_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

namespace kiln::launcher
{
namespace
{

using namespace std::chrono_literals;
using test::TcpServer;

// A monitor that answers every command for people with the same text and keeps the commands.
class FakeMonitor
{
public:
    explicit FakeMonitor(Json answer)
        : server_("{\"QMP\":{}}\n",
                  [this, answer = std::move(answer)](const std::string& line) {
                      const Json request = Json::parse(line);
                      if (request.at("execute") == "qmp_capabilities") {
                          return std::string("{\"return\":{}}\n");
                      }
                      const std::lock_guard lock(mutex_);
                      commands_.push_back(request.at("arguments").at("command-line").get<std::string>());
                      return Json({{"return", answer}}).dump() + "\n";
                  }),
          qmp_(JsonSocket::connect(server_.path(), "QEMU"))
    {
    }
    QmpClient& qmp() { return qmp_; }
    std::vector<std::string> commands()
    {
        const std::lock_guard lock(mutex_);
        return commands_;
    }

private:
    std::mutex mutex_;
    std::vector<std::string> commands_;
    FakeServer server_;
    QmpClient qmp_;
};

TEST(PortForward, AddsARuleOfTheLoopback)
{
    FakeMonitor monitor("");
    const std::uint16_t port = add_forward(monitor.qmp(), 8080);
    EXPECT_THAT(monitor.commands(),
                testing::ElementsAre("hostfwd_add net tcp:127.0.0.1:" + std::to_string(port) + "-:8080"));
}

TEST(PortForward, SaysWhyItCouldNot)
{
    FakeMonitor monitor("could not set up host forwarding rule '\x1b[2J'\r\n");
    try {
        static_cast<void>(add_forward(monitor.qmp(), 80));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::launch);
        EXPECT_THAT(error.what(), testing::HasSubstr("port 80 of the guest: could not set up"));
        EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("\x1b")));
    }
    EXPECT_EQ(monitor.commands().size(), 5U); // another program may have taken a port
    FakeMonitor number(7);
    EXPECT_THROW(static_cast<void>(add_forward(number.qmp(), 80)), Error);
}

TEST(PortForward, RemovesIt)
{
    FakeMonitor monitor("host forwarding rule for tcp:127.0.0.1:4000 removed\r\n");
    remove_forward(monitor.qmp(), 4000);
    EXPECT_THAT(monitor.commands(), testing::ElementsAre("hostfwd_remove net tcp:127.0.0.1:4000"));
    FakeMonitor other("host forwarding rule for tcp:127.0.0.1:4000 not found\r\n");
    EXPECT_THROW(remove_forward(other.qmp(), 4000), Error);
}

TEST(PortForward, ReadsTheStatesOfItsOwnConnections)
{
    // As QEMU 7.2 prints it.
    FakeMonitor monitor("Hub -1 (net):\r\n"
                        "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
                        "  TCP[ESTABLISHED]   19       127.0.0.1 40000       10.0.2.15    22     0     0\r\n"
                        "  TCP[SYN_SENT]      20       127.0.0.1 40001       10.0.2.15    81     0     0\r\n"
                        "  TCP[ESTABLISHED]   21       127.0.0.1 40001       10.0.2.15    80     0     0\r\n"
                        "  TCP[HOST_FORWARD]  14       127.0.0.1 40001       10.0.2.15    81     0     0\r\n"
                        "  UDP[236 sec]       22       10.0.2.15 40001       10.0.2.3     81     0     0\r\n"
                        "  TCP[TIME_WAIT      23       127.0.0.1 40001       10.0.2.15    81     0     0\r\n");
    EXPECT_THAT(connection_states(monitor.qmp(), 40001, 81), testing::ElementsAre("SYN_SENT", "HOST_FORWARD"));
    EXPECT_THAT(connection_states(monitor.qmp(), 40000, 22), testing::ElementsAre("ESTABLISHED"));
    EXPECT_THAT(connection_states(monitor.qmp(), 4000, 22), testing::IsEmpty());
}

std::string seen_on(TcpServer::Handler handler, const std::vector<std::string>& states,
                    std::chrono::milliseconds limit = 1s)
{
    const TcpServer server(std::move(handler));
    return wait_for_port(server.port(), [&] { return states; }, in(limit), {});
}

void hold(int /*connection*/, const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        std::this_thread::sleep_for(5ms);
    }
}

TEST(PortCheck, AnAcceptedConnectionAloneProvesNothing)
{
    EXPECT_THAT(seen_on(hold, {"HOST_FORWARD", "SYN_SENT"}), testing::HasSubstr("does not answer"));
    EXPECT_THAT(seen_on(hold, {}), testing::HasSubstr("does not answer"));
    EXPECT_THAT(seen_on([](int, const std::stop_token&) {}, {"HOST_FORWARD"}),
                testing::HasSubstr("refuses connections"));
}

TEST(PortCheck, TheGuestsHandshakeDoes)
{
    EXPECT_EQ(seen_on(hold, {"HOST_FORWARD", "ESTABLISHED"}), "");
    EXPECT_EQ(seen_on([](int, const std::stop_token&) {}, {"CLOSE_WAIT"}), ""); // accepted, then closed
}

TEST(PortCheck, SoDoItsBytes)
{
    EXPECT_EQ(seen_on(
                  [](int connection, const std::stop_token& stop) {
                      TcpServer::send(connection, "SSH-2.0\r\n");
                      hold(connection, stop);
                  },
                  {}),
              "");
}

TEST(PortCheck, TriesAgain)
{
    int tries = 0;
    EXPECT_EQ(seen_on(
                  [&](int connection, const std::stop_token& stop) {
                      if (++tries == 3) {
                          TcpServer::send(connection, "hello");
                          hold(connection, stop);
                      }
                  },
                  {}, 20s),
              "");
}

TEST(PortCheck, AStopEndsIt)
{
    std::stop_source stop;
    stop.request_stop();
    const TcpServer server(hold);
    EXPECT_THROW(static_cast<void>(wait_for_port(
                     server.port(), [] { return std::vector<std::string>(); }, in(600s), stop.get_token())),
                 Error);
}

} // namespace
} // namespace kiln::launcher
