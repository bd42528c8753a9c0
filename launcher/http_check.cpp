// SPDX-License-Identifier: Apache-2.0
#include "launcher/http_check.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "launcher/console_search.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
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
constexpr std::size_t largest_headers = std::size_t{64} << 10U;

struct Cleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

struct Transfer {
    HttpAnswer answer{};
    std::size_t headers = 0; // bytes so far
    bool cut = false;        // the body is longer than we keep
    std::stop_token stop{};
};

void require(CURLcode code)
{
    if (code != CURLE_OK) {
        throw Error(ErrorKind::internal, fmt::format("libcurl: {}", curl_easy_strerror(code)));
    }
}

// Returning less than it got ends the transfer.
std::size_t take_body(const char* data, std::size_t, std::size_t size, void* user)
{
    auto& transfer = *static_cast<Transfer*>(user);
    const std::size_t taken = std::min(size, largest_body - transfer.answer.body.size());
    transfer.answer.body.append(data, taken);
    transfer.cut = taken < size;
    return taken;
}

std::size_t take_header(const char*, std::size_t, std::size_t size, void* user)
{
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.headers += size;
    return transfer.headers <= largest_headers ? size : 0;
}

int stop_asked(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
    return static_cast<Transfer*>(user)->stop.stop_requested() ? 1 : 0;
}

std::string reason_of(CURLcode code, const Transfer& transfer)
{
    switch (code) {
    case CURLE_GOT_NOTHING:
    case CURLE_COULDNT_CONNECT:
    case CURLE_RECV_ERROR:
        return "nothing listens there, or it ended the connection without an answer";
    case CURLE_OPERATION_TIMEDOUT:
        return "no whole answer came in time";
    case CURLE_WRITE_ERROR:
        return fmt::format("its headers are longer than {} bytes", largest_headers);
    default:
        return fmt::format("{}, after {} bytes of the body", curl_easy_strerror(code), transfer.answer.body.size());
    }
}

std::unique_ptr<CURL, Cleanup> new_handle()
{
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    require(ready);
    std::unique_ptr<CURL, Cleanup> handle(curl_easy_init());
    require(handle ? CURLE_OK : CURLE_OUT_OF_MEMORY);
    return handle;
}

// The beginning of a body, for people.
std::string beginning(const std::string& body)
{
    constexpr std::size_t shown = 200;
    return body.size() <= shown ? body : body.substr(0, shown) + "...";
}

std::string difference(const HttpAnswer& answer, const bundle::Test& test, steady_clock::time_point deadline)
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

HttpAnswer http_get(std::uint16_t host_port, std::uint16_t guest_port, const std::string& path,
                    std::chrono::milliseconds limit, const std::stop_token& stop)
{
    const auto handle = new_handle();
    CURL* curl = handle.get();
    Transfer transfer{.stop = stop};
    const std::unique_ptr<curl_slist, Cleanup> headers(
        curl_slist_append(nullptr, fmt::format("Host: localhost:{}", guest_port).c_str()));
    require(headers ? CURLE_OK : CURLE_OUT_OF_MEMORY);
    require(curl_easy_setopt(curl, CURLOPT_URL, fmt::format("http://127.0.0.1:{}{}", host_port, path).c_str()));
    require(curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L));
    require(curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http"));
    require(curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L));
    require(curl_easy_setopt(curl, CURLOPT_PROXY, "")); // also none from the environment
    require(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get()));
    require(curl_easy_setopt(curl, CURLOPT_USERAGENT, "kiln"));
    require(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L));
    require(
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<milliseconds::rep>(limit.count(), 1))));
    require(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body));
    require(curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer));
    require(curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header));
    require(curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer));
    require(curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L));
    require(curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_asked));
    require(curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer));

    const CURLcode code = curl_easy_perform(curl);
    throw_if_interrupted(stop);
    if (code != CURLE_OK && !transfer.cut) {
        throw Error(ErrorKind::launch, reason_of(code, transfer));
    }
    require(curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &transfer.answer.status));
    return std::move(transfer.answer);
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
            const HttpAnswer answer = http_get(host_port, test.port, test.path, std::min(left, timeout / 2), stop);
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
