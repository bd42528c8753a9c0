// SPDX-License-Identifier: Apache-2.0
// Answers of a hostile or slow web server (a fake one): each is a failure that says what came, never a hang.
#include "core/error.h"
#include "launcher/http_check.h"
#include "launcher/qemu_process.h"
#include "tests/support/tcp_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace kiln::launcher
{
namespace
{

using namespace std::chrono_literals;
using test::TcpServer;

bundle::Test page(std::int64_t status, std::optional<std::string> body, std::int64_t timeout_seconds)
{
    return {.name = "page",
            .kind = "http",
            .status = status,
            .port = 8080,
            .path = "/a?b=../c",
            .body = std::move(body),
            .timeout_seconds = timeout_seconds};
}

TcpServer::Handler answering(std::string answer)
{
    return [answer = std::move(answer)](int connection, const std::stop_token&) {
        TcpServer::receive_request(connection);
        TcpServer::send(connection, answer);
    };
}

std::string failure_of(TcpServer::Handler handler, const bundle::Test& test)
{
    const TcpServer server(std::move(handler));
    return wait_for_http(server.port(), test, {});
}

TEST(HttpCheck, StatusAndALineOfTheBody)
{
    const std::string answer = "HTTP/1.1 404 No\r\nContent-Length: 18\r\n\r\nfirst\r\nhello you\r\n";
    EXPECT_EQ(failure_of(answering(answer), page(404, std::nullopt, 1)), "");
    EXPECT_EQ(failure_of(answering(answer), page(404, "^hello [a-z]+$", 1)), "");
    EXPECT_THAT(
        failure_of(answering(answer), page(200, std::nullopt, 1)),
        testing::HasSubstr("http://localhost:8080/a?b=../c did not answer as expected within 1 s; seen last: the "
                           "status 404 instead of 200, with the body \"first"));
    EXPECT_THAT(failure_of(answering(answer), page(404, "^bye", 1)),
                testing::HasSubstr("no line of the body has \"^bye\""));
}

TEST(HttpCheck, ATryThatTheDeadlineCutsHidesNoAnswer)
{
    std::atomic<int> requests = 0;
    EXPECT_THAT(failure_of(
                    [&](int connection, const std::stop_token& stop) {
                        TcpServer::receive_request(connection);
                        if (++requests > 2) { // the tries come at 0, 250, 500 and 750 ms of 1 s
                            while (!stop.stop_requested()) {
                                std::this_thread::sleep_for(10ms);
                            }
                            return;
                        }
                        TcpServer::send(connection, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
                    },
                    page(200, std::nullopt, 1)),
                testing::HasSubstr("the status 404 instead of 200"));
    EXPECT_GT(requests, 2);
}

TEST(HttpCheck, AsksPlainlyAndPastEveryProxy)
{
    ::setenv("http_proxy", "http://127.0.0.1:1/", 1);
    ::setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    std::string request;
    std::mutex mutex;
    EXPECT_EQ(failure_of(
                  [&](int connection, const std::stop_token&) {
                      const std::lock_guard lock(mutex);
                      request = TcpServer::receive_request(connection);
                      TcpServer::send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                  },
                  page(200, std::nullopt, 5)),
              "");
    ::unsetenv("http_proxy");
    ::unsetenv("ALL_PROXY");
    EXPECT_EQ(request, "GET /a?b=../c HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: kiln\r\nAccept: */*\r\n\r\n");
}

TEST(HttpCheck, FollowsNoRedirect)
{
    std::atomic<int> elsewhere = 0;
    const TcpServer other([&](int, const std::stop_token&) { ++elsewhere; });
    const std::string answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" + std::to_string(other.port()) +
                               "/\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(failure_of(answering(answer), page(302, std::nullopt, 1)), "");
    EXPECT_EQ(elsewhere, 0);
}

TEST(HttpCheck, TriesAgainUntilTheServerIsUp)
{
    std::atomic<int> asked = 0;
    EXPECT_EQ(failure_of(
                  [&](int connection, const std::stop_token&) {
                      TcpServer::receive_request(connection);
                      if (++asked == 2) {
                          TcpServer::send(connection, "HTTP/1.1 503 Wait\r\nContent-Length: 0\r\n\r\n");
                      } else if (asked == 3) {
                          TcpServer::send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                      }
                  },
                  page(200, std::nullopt, 10)),
              "");
    EXPECT_EQ(asked, 3);
}

TEST(HttpCheck, NoAnswerAtAll)
{
    const std::uint16_t nobody = find_free_port();
    EXPECT_THAT(wait_for_http(nobody, page(200, std::nullopt, 1), {}), testing::HasSubstr("nothing listens there"));
    EXPECT_THAT(failure_of([](int, const std::stop_token&) {}, page(200, std::nullopt, 1)),
                testing::HasSubstr("ended the connection without an answer"));
    EXPECT_THAT(failure_of(answering("SSH-2.0-OpenSSH_9.2\r\n"), page(200, std::nullopt, 1)),
                testing::HasSubstr("seen last: "));
}

TEST(HttpCheck, ABodyThatNeverEndsIsCut)
{
    const TcpServer server([](int connection, const std::stop_token& stop) {
        TcpServer::receive_request(connection);
        TcpServer::send(connection, "HTTP/1.1 200 OK\r\n\r\n");
        const std::string chunk(65536, 'x');
        while (!stop.stop_requested() && TcpServer::send(connection, chunk)) {
        }
    });
    const GuestAnswer answer = http_get(server.port(), 80, "/", 20s, {});
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, std::string(std::size_t{1} << 20U, 'x'));
}

TEST(HttpCheck, HeadersThatNeverEndAreAFailure)
{
    EXPECT_THAT(failure_of(
                    [](int connection, const std::stop_token& stop) {
                        TcpServer::receive_request(connection);
                        TcpServer::send(connection, "HTTP/1.1 200 OK\r\n");
                        while (!stop.stop_requested() &&
                               TcpServer::send(connection, "X-A: " + std::string(1000, 'b') + "\r\n")) {
                        }
                    },
                    page(200, std::nullopt, 2)),
                testing::HasSubstr("its headers are longer than 65536 bytes"));
}

TEST(HttpCheck, AServerThatDripsIsLeftAtTheTimeout)
{
    const auto started = std::chrono::steady_clock::now();
    EXPECT_THAT(failure_of(
                    [](int connection, const std::stop_token& stop) {
                        TcpServer::send(connection, "HTTP/1.1 200 OK\r\n\r\n");
                        while (!stop.stop_requested() && TcpServer::send(connection, ".")) {
                            std::this_thread::sleep_for(10ms);
                        }
                    },
                    page(200, std::nullopt, 1)),
                testing::HasSubstr("no whole answer came in time"));
    EXPECT_LT(std::chrono::steady_clock::now() - started, 10s);
}

TEST(HttpCheck, AStopEndsIt)
{
    std::stop_source stop;
    const TcpServer server([&](int connection, const std::stop_token& ended) {
        TcpServer::receive_request(connection);
        stop.request_stop();
        while (!ended.stop_requested()) {
            std::this_thread::sleep_for(10ms);
        }
    });
    try {
        static_cast<void>(wait_for_http(server.port(), page(200, std::nullopt, 600), stop.get_token()));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::interrupted);
    }
}

} // namespace
} // namespace kiln::launcher
