// SPDX-License-Identifier: Apache-2.0
// The owner of libcurl: HTTP requests, one after the other. What answers is hostile: only the protocol of the URL is
// spoken, a redirect is an answer like another, and headers, time and rate have limits. The caller bounds the body.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln
{

struct HttpHead {
    long status = 0;
    std::multimap<std::string, std::string> headers{};                              // names in lower case
    [[nodiscard]] std::optional<std::string> header(const std::string& name) const; // the first of that name
};

// What a request sends: asked for its bytes from the first one on.
struct HttpBody {
    std::uint64_t size = 0;
    std::function<std::size_t(char* buffer, std::size_t size)> read; // at most `size` bytes; 0: it failed
};

// Of a text, which outlives it.
[[nodiscard]] HttpBody body_of(std::string_view text);

struct HttpRequest {
    std::string method = "GET";         // or HEAD, POST, PUT
    std::string url;                    // http or https
    std::vector<std::string> headers{}; // "Name: value"
    std::optional<HttpBody> body{};     // of POST and PUT; none: empty
    // Gets the answer's body piece by piece, and its head each time; false ends the transfer.
    std::function<bool(const HttpHead& head, std::string_view piece)> take{};
    std::filesystem::path ca_file{}; // certificates to trust instead of the system's
    bool proxies = false;            // whether those of the environment are used
    std::chrono::milliseconds connect_limit{20'000};
    std::chrono::milliseconds limit{0}; // for all of it; 0: none
    // Ends a transfer that stays below `slowest` bytes a second for so long; 0: none.
    long slowest = 0;
    std::chrono::seconds slow_limit{0};
    std::stop_token stop{};
};

// How it ended, when there was no whole answer.
enum class HttpFailure {
    none,
    not_taken,       // `take` said no
    no_answer,       // nothing listens there, or it ended the connection without an answer
    broken,          // the connection ended in the middle, or what came is no HTTP
    too_slow,        // one of the limits of time or rate
    long_headers,    // longer than 64 KiB
    bad_certificate, // it is not one for this host that a trusted authority signed
    bad_ca_file
};

struct HttpAnswer {
    HttpHead head;
    HttpFailure failure = HttpFailure::none;
    std::string reason; // libcurl's words for it; without anything of the URL or the headers
};

// One thread. Connections are kept for the next request.
class HttpClient
{
public:
    HttpClient();
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Throws Error{interrupted} on a stop, and what `take` and `body` throw.
    [[nodiscard]] HttpAnswer perform(const HttpRequest& request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln
