// SPDX-License-Identifier: Apache-2.0
#include "launcher/http_check.h"

#include "core/error.h"
#include "core/http_client.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "launcher/console_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::size_t largest_body = std::size_t{1} << 20U;

std::string reason_of(const HttpAnswer& answer, std::size_t body)
{
    switch (answer.failure) {
    case HttpFailure::no_answer:
        return "nothing listens there, or it ended the connection without an answer";
    case HttpFailure::too_slow:
        return "no whole answer came in time";
    case HttpFailure::long_headers:
        return "its headers are longer than 65536 bytes";
    default:
        return fmt::format("{}, after {} bytes of the body", answer.reason, body);
    }
}

// The beginning of a body, for people.
std::string beginning(const std::string& body)
{
    constexpr std::size_t shown = 200;
    return body.size() <= shown ? body : body.substr(0, shown) + "...";
}

std::string difference(const GuestAnswer& answer, const bundle::Test& test, steady_clock::time_point deadline)
{
    if (answer.status != test.status) {
        return fmt::format(R"(the status {} instead of {}, with the body "{}")", answer.status, test.status,
                           beginning(answer.body));
    }
    if (test.body) {
        LineSearch search(*test.body, deadline);
        search.feed(answer.body);
        if (!search.found()) {
            return fmt::format(R"(the status {}, and no line of the body has "{}"; it begins "{}")", answer.status,
                               *test.body, beginning(answer.body));
        }
    }
    return {};
}

} // namespace

GuestAnswer http_get(std::uint16_t host_port, std::uint16_t guest_port, const std::string& path,
                     std::chrono::milliseconds limit, const std::stop_token& stop)
{
    std::string body;
    HttpClient client;
    const HttpAnswer answer = client.perform({.url = fmt::format("http://127.0.0.1:{}{}", host_port, path),
                                              .headers = {fmt::format("Host: localhost:{}", guest_port)},
                                              .take =
                                                  [&](const HttpHead&, std::string_view piece) {
                                                      const auto room = largest_body - body.size();
                                                      body.append(piece.substr(0, room));
                                                      return piece.size() <= room;
                                                  },
                                              .limit = std::max(limit, milliseconds(1)),
                                              .stop = stop});
    if (answer.failure != HttpFailure::none && answer.failure != HttpFailure::not_taken) {
        throw Error(ErrorKind::launch, reason_of(answer, body.size()));
    }
    return {.status = answer.head.status, .body = std::move(body)};
}

std::string wait_for_http(std::uint16_t host_port, const bundle::Test& test, const std::stop_token& stop)
{
    const milliseconds timeout = seconds(test.timeout_seconds);
    const auto deadline = steady_clock::now() + timeout;
    std::string last;
    do {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
        try {
            // Half of the time at most, so that one answer that never ends is not the only try.
            const GuestAnswer answer = http_get(host_port, test.port, test.path, std::min(left, timeout / 2), stop);
            last = difference(answer, test, deadline);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::launch) {
                throw;
            }
            // A last try that the deadline cut short says less than the whole one before it.
            if (last.empty() || left >= timeout / 2) {
                last = error.what();
            }
        }
        if (last.empty()) {
            return {};
        }
        throw_if_interrupted(stop);
        std::this_thread::sleep_for(milliseconds(250));
    } while (steady_clock::now() < deadline);
    return fmt::format("http://localhost:{}{} did not answer as expected within {} s; seen last: {}", test.port,
                       test.path, test.timeout_seconds, last);
}

} // namespace kiln::launcher
