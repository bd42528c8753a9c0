// SPDX-License-Identifier: Apache-2.0
#include "core/http_client.h"

#include "core/error.h"
#include "core/interrupt.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace kiln
{
namespace
{

constexpr std::size_t largest_headers = std::size_t{64} << 10U;

struct Cleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, Cleanup>;
using List = std::unique_ptr<curl_slist, Cleanup>;

void require(CURLcode code)
{
    if (code != CURLE_OK) {
        throw Error(ErrorKind::internal, fmt::format("libcurl: {}", curl_easy_strerror(code)));
    }
}

// One request, as libcurl's callbacks see it. No exception may pass through libcurl: it is kept until afterwards.
struct Exchange {
    CURL* curl;
    const HttpRequest& request;
    HttpHead head{};
    std::size_t header_bytes = 0;
    std::uint64_t sent = 0;
    bool refused = false;
    std::exception_ptr thrown{};
};

std::size_t take_body(const char* data, std::size_t, std::size_t size, void* user)
{
    auto& exchange = *static_cast<Exchange*>(user);
    try {
        require(curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &exchange.head.status));
        if (!exchange.request.take || exchange.request.take(exchange.head, {data, size})) {
            return size;
        }
        exchange.refused = true;
    } catch (...) {
        exchange.thrown = std::current_exception();
    }
    return size + 1; // another number than it got ends the transfer
}

void take_line(HttpHead& head, std::string_view line)
{
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) {
        line.remove_suffix(1);
    }
    if (line.starts_with("HTTP/")) { // also behind an interim answer
        head.headers.clear();
        return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return;
    }
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) {
        value.remove_prefix(1);
    }
    while (value.ends_with(' ') || value.ends_with('\t')) {
        value.remove_suffix(1);
    }
    head.headers.emplace(std::move(name), value);
}

std::size_t take_header(const char* data, std::size_t, std::size_t size, void* user)
{
    auto& exchange = *static_cast<Exchange*>(user);
    exchange.header_bytes += size;
    if (exchange.header_bytes > largest_headers) {
        return 0;
    }
    try {
        take_line(exchange.head, {data, size});
    } catch (...) {
        exchange.thrown = std::current_exception();
        return 0;
    }
    return size;
}

std::size_t give_body(char* buffer, std::size_t, std::size_t size, void* user)
{
    auto& exchange = *static_cast<Exchange*>(user);
    const HttpBody& body = *exchange.request.body;
    const std::size_t wanted = std::min<std::uint64_t>(size, body.size - exchange.sent);
    if (wanted == 0) {
        return 0;
    }
    try {
        const std::size_t given = body.read(buffer, wanted);
        exchange.sent += given;
        return given == 0 ? CURL_READFUNC_ABORT : given;
    } catch (...) {
        exchange.thrown = std::current_exception();
        return CURL_READFUNC_ABORT;
    }
}

int stop_asked(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
    return static_cast<Exchange*>(user)->request.stop.stop_requested() ? 1 : 0;
}

Handle new_handle()
{
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    require(ready);
    Handle handle(curl_easy_init());
    require(handle ? CURLE_OK : CURLE_OUT_OF_MEMORY);
    return handle;
}

List list_of(const std::vector<std::string>& headers)
{
    List list;
    for (const std::string& header : headers) {
        curl_slist* longer = curl_slist_append(list.get(), header.c_str());
        require(longer != nullptr ? CURLE_OK : CURLE_OUT_OF_MEMORY);
        static_cast<void>(list.release());
        list.reset(longer);
    }
    return list;
}

template <typename Value> void set(CURL* curl, CURLoption option, Value value)
{
    require(curl_easy_setopt(curl, option, value));
}

long milliseconds_of(std::chrono::milliseconds time)
{
    return static_cast<long>(std::max<std::chrono::milliseconds::rep>(time.count(), 1));
}

void set_method(CURL* curl, const HttpRequest& request, Exchange& exchange)
{
    if (request.method == "HEAD") {
        set(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request.method == "GET") {
        set(curl, CURLOPT_HTTPGET, 1L);
        return;
    }
    set(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (!request.body) {
        set(curl, CURLOPT_POST, 1L);
        set(curl, CURLOPT_POSTFIELDS, "");
        set(curl, CURLOPT_POSTFIELDSIZE, 0L);
        return;
    }
    set(curl, CURLOPT_UPLOAD, 1L);
    set(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size));
    set(curl, CURLOPT_READFUNCTION, give_body);
    set(curl, CURLOPT_READDATA, &exchange);
}

void set_limits(CURL* curl, const HttpRequest& request)
{
    set(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds_of(request.connect_limit));
    if (request.limit.count() > 0) {
        set(curl, CURLOPT_TIMEOUT_MS, milliseconds_of(request.limit));
    }
    if (request.slowest > 0) {
        set(curl, CURLOPT_LOW_SPEED_LIMIT, request.slowest);
        set(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.slow_limit.count()));
    }
}

void set_connection(CURL* curl, const HttpRequest& request)
{
    set(curl, CURLOPT_URL, request.url.c_str());
    set(curl, CURLOPT_PATH_AS_IS, 1L);
    set(curl, CURLOPT_PROTOCOLS_STR, request.url.starts_with("https:") ? "https" : "http");
    set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(curl, CURLOPT_FOLLOWLOCATION, 0L);
    set(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(curl, CURLOPT_USERAGENT, "kiln");
    set(curl, CURLOPT_NOSIGNAL, 1L);
    if (!request.proxies) {
        set(curl, CURLOPT_PROXY, "");
    }
    if (!request.ca_file.empty()) {
        set(curl, CURLOPT_CAINFO, request.ca_file.c_str());
        set(curl, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
}

void set_callbacks(CURL* curl, Exchange& exchange)
{
    set(curl, CURLOPT_WRITEFUNCTION, take_body);
    set(curl, CURLOPT_WRITEDATA, &exchange);
    set(curl, CURLOPT_HEADERFUNCTION, take_header);
    set(curl, CURLOPT_HEADERDATA, &exchange);
    set(curl, CURLOPT_NOPROGRESS, 0L);
    set(curl, CURLOPT_XFERINFOFUNCTION, stop_asked);
    set(curl, CURLOPT_XFERINFODATA, &exchange);
}

HttpFailure failure_of(CURLcode code, const Exchange& exchange)
{
    switch (code) {
    case CURLE_OK:
        return HttpFailure::none;
    case CURLE_GOT_NOTHING:
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return HttpFailure::no_answer;
    case CURLE_RECV_ERROR:
        return exchange.header_bytes == 0 ? HttpFailure::no_answer : HttpFailure::broken;
    case CURLE_OPERATION_TIMEDOUT:
        return HttpFailure::too_slow;
    case CURLE_WRITE_ERROR:
        return exchange.refused ? HttpFailure::not_taken : HttpFailure::long_headers;
    case CURLE_PEER_FAILED_VERIFICATION:
        return HttpFailure::bad_certificate;
    case CURLE_SSL_CACERT_BADFILE:
        return HttpFailure::bad_ca_file;
    default:
        return HttpFailure::broken;
    }
}

} // namespace

std::optional<std::string> HttpHead::header(const std::string& name) const
{
    const auto found = headers.find(name);
    return found == headers.end() ? std::nullopt : std::optional(found->second);
}

HttpBody body_of(std::string_view text)
{
    return {.size = text.size(), .read = [text](char* buffer, std::size_t size) mutable {
                const std::size_t length = text.copy(buffer, size);
                text.remove_prefix(length);
                return length;
            }};
}

struct HttpClient::State {
    Handle handle = new_handle();
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::perform(const HttpRequest& request)
{
    CURL* curl = state_->handle.get();
    curl_easy_reset(curl); // connections stay
    Exchange exchange{.curl = curl, .request = request};
    const List headers = list_of(request.headers);
    set_connection(curl, request);
    set_method(curl, request, exchange);
    set_limits(curl, request);
    set_callbacks(curl, exchange);
    set(curl, CURLOPT_HTTPHEADER, headers.get());

    const CURLcode code = curl_easy_perform(curl);
    throw_if_interrupted(request.stop);
    if (exchange.thrown) {
        std::rethrow_exception(exchange.thrown);
    }
    require(curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange.head.status));
    return {
        .head = std::move(exchange.head), .failure = failure_of(code, exchange), .reason = curl_easy_strerror(code)};
}

} // namespace kiln
