// SPDX-License-Identifier: Apache-2.0
// A remote registry for tests: the OCI distribution API over TcpServer, in memory, without the referrers API. A hook
// has the first say about each request, to misbehave.
#pragma once

#include "core/digest.h"
#include "core/json.h"
#include "tests/support/tcp_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kiln::test
{

class FakeRegistry
{
public:
    struct Request {
        std::string method;
        std::string path; // with the query
        std::string head; // all of it, as it came
        std::string body;
        [[nodiscard]] std::string header(const std::string& name) const
        {
            const std::size_t begin = head.find("\r\n" + name + ": ");
            if (begin == std::string::npos) {
                return {};
            }
            const std::size_t value = begin + name.size() + 4;
            return head.substr(value, head.find("\r\n", value) - value);
        }
    };
    struct Answer {
        int status = 200;
        std::vector<std::string> headers{};
        std::string body{};
        std::optional<std::size_t> length{};                                    // that it claims to have
        std::function<void(int connection, const std::stop_token& stop)> raw{}; // instead of all else
    };
    using Hook = std::function<std::optional<Answer>(const Request&)>;

    FakeRegistry() : server_([this](int connection, const std::stop_token& stop) { serve(connection, stop); }) {}

    [[nodiscard]] std::string host() const { return fmt::format("127.0.0.1:{}", server_.port()); }
    void set_hook(Hook hook)
    {
        const std::lock_guard lock(mutex_);
        hook_ = std::move(hook);
    }
    // "GET /v2/web/blobs/..." of all so far.
    [[nodiscard]] std::vector<std::string> requests() const
    {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    [[nodiscard]] std::ptrdiff_t count(const std::string& beginning) const
    {
        const std::vector<std::string> all = requests();
        return std::ranges::count_if(all, [&](const auto& one) { return one.starts_with(beginning); });
    }
    void forget_requests()
    {
        const std::lock_guard lock(mutex_);
        requests_.clear();
    }

    // By tag or digest, and by digest; only while nobody asks.
    std::map<std::string, std::string> manifests;
    std::map<std::string, std::string> blobs;
    bool lists_referrers = false; // by the referrers API

private:
    void serve(int connection, const std::stop_token& stop)
    {
        Request request{.method = {}, .path = {}, .head = TcpServer::receive_request(connection), .body = {}};
        const std::size_t space = request.head.find(' ');
        if (space == std::string::npos) {
            return;
        }
        request.method = request.head.substr(0, space);
        request.path = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
        if (request.header("Expect") == "100-continue") {
            TcpServer::send(connection, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        const std::string length = request.header("Content-Length");
        request.body.resize(length.empty() ? 0 : std::stoul(length));
        for (std::size_t got = 0; got < request.body.size();) {
            const ssize_t part = ::recv(connection, request.body.data() + got, request.body.size() - got, 0);
            if (part <= 0) {
                return;
            }
            got += static_cast<std::size_t>(part);
        }
        const Answer answer = answer_of(request);
        if (answer.raw) {
            return answer.raw(connection, stop);
        }
        std::string head = fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status,
                                       answer.length.value_or(answer.body.size()));
        for (const std::string& header : answer.headers) {
            head += header + "\r\n";
        }
        TcpServer::send(connection, head + "\r\n" + (request.method == "HEAD" ? "" : answer.body));
    }

    Answer answer_of(const Request& request)
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request.method + " " + request.path);
        if (hook_) {
            if (auto answer = hook_(request)) {
                return *std::move(answer);
            }
        }
        const std::string path = request.path.substr(0, request.path.find('?'));
        const std::string last = path.substr(path.rfind('/') + 1);
        if (path.find("/referrers/") != std::string::npos) {
            return lists_referrers ? Answer{.body = referrers_of(last)} : Answer{.status = 404};
        }
        if (request.path.find("/manifests/") != std::string::npos) {
            if (request.method == "PUT") {
                manifests[last] = request.body;
                manifests[digest_of(request.body).to_string()] = request.body;
                const bool listed = lists_referrers && request.body.find("\"subject\"") != std::string::npos;
                return {.status = 201, .headers = {listed ? "OCI-Subject: sha256:x" : "X: y"}};
            }
            return found(manifests, last);
        }
        if (request.method == "POST") {
            return {.status = 202, .headers = {"Location: /upload/1?state=a"}};
        }
        if (request.method == "PUT") {
            const std::string digest = digest_of(request.body).to_string();
            blobs[digest] = request.body;
            const bool equal = request.path.ends_with("&digest=sha256%3A" + digest.substr(7));
            return {.status = equal ? 201 : 400};
        }
        Answer answer = found(blobs, last);
        const std::string range = request.header("Range"); // "bytes=N-"
        if (answer.status == 200 && !range.empty()) {
            const std::size_t start = std::stoul(range.substr(6));
            answer.headers.push_back(
                fmt::format("Content-Range: bytes {}-{}/{}", start, answer.body.size() - 1, answer.body.size()));
            answer.body.erase(0, start);
            answer.status = 206;
        }
        return answer;
    }

    std::string referrers_of(const std::string& subject) const
    {
        Json entries = Json::array();
        for (const auto& [name, bytes] : manifests) {
            const Json manifest = Json::parse(bytes, nullptr, false);
            if (name.starts_with("sha256:") && manifest.contains("subject") &&
                manifest["subject"]["digest"] == subject) {
                entries.push_back({{"mediaType", manifest["mediaType"]},
                                   {"digest", name},
                                   {"size", bytes.size()},
                                   {"artifactType", manifest["artifactType"]}});
            }
        }
        return Json{{"schemaVersion", 2}, {"manifests", entries}}.dump();
    }

    static Answer found(const std::map<std::string, std::string>& in, const std::string& key)
    {
        const auto one = in.find(key);
        return one == in.end() ? Answer{.status = 404, .body = R"({"errors":[{"code":"MANIFEST_UNKNOWN"}]})"}
                               : Answer{.body = one->second};
    }

    mutable std::mutex mutex_;
    Hook hook_;
    std::vector<std::string> requests_;
    TcpServer server_;
};

} // namespace kiln::test
