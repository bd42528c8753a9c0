// SPDX-License-Identifier: Apache-2.0
// The home's policy: which accounts and keys may sign which names, and how many distinct keys have to.
// trust/policy.json; docs/trust.md is the reference. Without the file any trusted key of an image's owner may sign any
// name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

struct PolicyRule {
    std::vector<std::string> names{};               // of images, "web" or "web-*"
    std::vector<std::string> accounts{};            // that may own them
    std::optional<std::vector<std::string>> keys{}; // ids of those that count; none: every trusted key of the owner
    std::size_t threshold = 1;                      // of distinct keys
    bool tested = false; // only with a signed result of its tests that says that they passed (test_result.h)

    [[nodiscard]] bool covers(std::string_view name) const;
};

// What a publisher says of its images, as this home's keeper wrote it down.
struct Product {
    std::vector<std::string> names{}; // of images, as in a rule
    std::string title{};
    std::string description{}; // may be empty, as the rest
    std::string url{};
};

// An account whose public images are listed as the marketplace's. It gives no right: trust and rules do.
struct Publisher {
    std::string account{};
    std::string name{};
    bool verified = false; // else it is only noted down
    std::string url{};
    std::vector<Product> products{};

    // The first product that the image of that name belongs to; null when none does.
    [[nodiscard]] const Product* product_of(std::string_view image) const;
};

struct Policy {
    bool refuse_others = false; // names that no rule covers
    std::vector<PolicyRule> rules{};
    std::vector<Publisher> publishers{};

    // The first that covers the name; null when none does.
    [[nodiscard]] const PolicyRule* rule_of(std::string_view name) const;
    // Null when the account is no verified one.
    [[nodiscard]] const Publisher* verified_publisher(std::string_view account) const;
};

// Throws Error{untrusted} with the place in the file, and what to write there.
[[nodiscard]] Policy parse_policy(std::string_view text, const std::string& file);
// nullopt without a file. Throws as parse_policy(), and Error{io, permission_denied}.
[[nodiscard]] std::optional<Policy> find_policy(const std::filesystem::path& trust_folder);

struct PolicyVerdict {
    bool passed = false;
    std::string detail{};
};
// `signers`: ids of the distinct trusted keys of `owner` that signed just this image.
[[nodiscard]] PolicyVerdict judge(const std::optional<Policy>& policy, std::string_view name, std::string_view owner,
                                  const std::set<std::string>& signers);

} // namespace kiln::registry
