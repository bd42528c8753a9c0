// SPDX-License-Identifier: Apache-2.0
// Ports, with servers that behave as libslirp does for a guest's.
#include "core/error.h"
#include "launcher/port_check.h"
#include "tests/support/tcp_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace kiln::launcher
{
namespace
{

using namespace std::chrono_literals;
using test::TcpServer;

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
