// SPDX-License-Identifier: Apache-2.0
// Internal: the instance metadata service (IMDS) of one instance, apart from how requests come in: who may read what.
// Source: EC2 User Guide, "Use the Instance Metadata Service", and the trials in docs/networking.md. Safe for several
// threads.
#pragma once

#include "launcher/metadata/metadata_tree.h"

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::launcher
{

inline constexpr const char* token_header = "X-aws-ec2-metadata-token";
inline constexpr const char* token_ttl_header = "X-aws-ec2-metadata-token-ttl-seconds";

// As it came from the guest: nothing in it is to be trusted.
struct MetadataRequest {
    std::string method;
    std::string path; // without the query
    std::optional<std::string> token{};
    std::optional<std::string> token_ttl{};
    bool forwarded = false; // it has a header X-Forwarded-For: a proxy stands between, a hop too many
};

struct MetadataAnswer {
    unsigned status = 200;
    std::string body;
    std::string content_type = "text/plain";
    std::vector<std::pair<std::string, std::string>> headers{};
};

// The tokens of IMDSv2 that are good now. The newest 256 are kept, by their digests: a guest can ask for any number.
class MetadataTokens
{
public:
    using Time = std::chrono::steady_clock::time_point;
    [[nodiscard]] std::string issue(std::chrono::seconds ttl, Time now);
    [[nodiscard]] bool valid(std::string_view token, Time now) const;

private:
    std::map<std::string, Time, std::less<>> expiries_; // by digest
    std::vector<std::string> by_age_;                   // oldest first
};

class MetadataService
{
public:
    // `load` is asked for each request, so that the answer is the instance's state now.
    explicit MetadataService(std::function<MetadataSource()> load) : load_(std::move(load)) {}

    // 200, 400 (no or a wrong TTL), 401 (no good token), 403 (forwarded), 404, 405; 500 when `load` throws.
    [[nodiscard]] MetadataAnswer answer(const MetadataRequest& request);

private:
    [[nodiscard]] MetadataAnswer issue_token(const MetadataRequest& request);
    [[nodiscard]] bool may_read(const MetadataRequest& request, const Instance& instance);

    std::function<MetadataSource()> load_;
    std::mutex mutex_;
    MetadataTokens tokens_;
};

} // namespace kiln::launcher
