// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/metadata_service.h"

#include "core/digest.h"
#include "core/random.h"

#include <fmt/format.h>

#include <charconv>

namespace kiln::launcher
{
namespace
{

using std::chrono::seconds;

constexpr std::size_t most_tokens = 256;
constexpr std::int64_t longest_ttl = 21600; // six hours
constexpr std::size_t token_digits = 56;    // as long as EC2's

// For people with a browser or curl; programs go by the status.
MetadataAnswer refusal(unsigned status, std::string_view reason)
{
    return {.status = status, .body = fmt::format("{} - {}\n", status, reason)};
}

std::optional<seconds> parse_ttl(const std::optional<std::string>& text)
{
    std::int64_t value = 0;
    if (!text) {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = error == std::errc() && end == text->data() + text->size();
    return whole && value >= 1 && value <= longest_ttl ? std::optional(seconds(value)) : std::nullopt;
}

} // namespace

std::string MetadataTokens::issue(seconds ttl, Time now)
{
    if (by_age_.size() >= most_tokens) {
        expiries_.erase(by_age_.front());
        by_age_.erase(by_age_.begin());
    }
    std::string token = random_hex(token_digits);
    const std::string digest = digest_of(token).hex();
    expiries_.emplace(digest, now + ttl);
    by_age_.push_back(digest);
    return token;
}

bool MetadataTokens::valid(std::string_view token, Time now) const
{
    const auto found = expiries_.find(digest_of(token).hex());
    return found != expiries_.end() && now < found->second;
}

MetadataAnswer MetadataService::answer(const MetadataRequest& request)
{
    if (request.forwarded) {
        return refusal(403, "requests that a proxy passes on are not answered");
    }
    const bool token_path = request.path == "/latest/api/token";
    if (request.method == "PUT" && token_path) {
        return issue_token(request);
    }
    if (token_path || (request.method != "GET" && request.method != "HEAD")) {
        MetadataAnswer answer = refusal(405, "the method is not allowed here");
        answer.headers.emplace_back("Allow", token_path ? "PUT" : "GET, HEAD");
        return answer;
    }
    MetadataSource source;
    try {
        source = load_();
    } catch (const std::exception&) { // the host's trouble is none of the guest's business
        return refusal(500, "the instance's record can't be read");
    }
    if (!may_read(request, source.instance)) {
        return refusal(401,
                       fmt::format("a token is needed: PUT /latest/api/token with the header {}, then send it as {}",
                                   token_ttl_header, token_header));
    }
    auto content = find_metadata(metadata_tree(source), request.path);
    if (!content) {
        return refusal(404, "there is no such metadata");
    }
    MetadataAnswer answer{.body = std::move(*content)};
    if (request.path.ends_with("/user-data")) {
        answer.content_type = "application/octet-stream";
    }
    return answer;
}

MetadataAnswer MetadataService::issue_token(const MetadataRequest& request)
{
    const auto ttl = parse_ttl(request.token_ttl);
    if (!ttl) {
        return refusal(400, fmt::format("the header {} must be 1 to {}", token_ttl_header, longest_ttl));
    }
    const std::lock_guard lock(mutex_);
    return {.body = tokens_.issue(*ttl, std::chrono::steady_clock::now()),
            .headers = {{token_ttl_header, std::to_string(ttl->count())}}};
}

bool MetadataService::may_read(const MetadataRequest& request, const Instance& instance)
{
    if (!request.token) {
        return instance.metadata.v1;
    }
    const std::lock_guard lock(mutex_);
    return tokens_.valid(*request.token, std::chrono::steady_clock::now());
}

} // namespace kiln::launcher
