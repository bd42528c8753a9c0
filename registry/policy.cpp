// SPDX-License-Identifier: Apache-2.0
#include "registry/policy.h"

#include "bundle/manifest.h"
#include "bundle/object_reader.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/text.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_policy = mebibytes(1);
constexpr std::size_t most_rules = 1000;
constexpr std::size_t most_entries = 1000;
constexpr std::int64_t largest_threshold = 16;
constexpr std::size_t longest_name = 128;
constexpr std::size_t longest_text = 4096;

// An image's name, the beginning of one and "*", or "*".
bool is_pattern(std::string_view text)
{
    if (!text.ends_with('*')) {
        return bundle::is_image_name(text);
    }
    text.remove_suffix(1);
    return text.size() <= 127 && std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

template <typename Valid>
std::vector<std::string> read_list(bundle::ObjectReader& rule, const std::string& key, const Valid& valid,
                                   std::string_view wanted)
{
    std::vector<std::string> list;
    for (const Json& entry : rule.array(key, most_entries)) {
        const std::string place = fmt::format("{}[{}]", key, list.size());
        if (!entry.is_string() || !valid(entry.get<std::string>())) {
            rule.refuse(place, fmt::format("is not {}", wanted));
        }
        list.push_back(entry.get<std::string>());
        if (std::ranges::count(list, list.back()) > 1) {
            rule.refuse(place, "is there twice");
        }
    }
    if (list.empty()) {
        rule.refuse(key, "is empty");
    }
    return list;
}

PolicyRule read_rule(bundle::ObjectReader reader)
{
    PolicyRule rule{.names =
                        read_list(reader, "names", is_pattern, "an image's name, or the beginning of one and \"*\""),
                    .accounts = read_list(reader, "accounts", signing::is_account_id, "an account of 12 digits")};
    if (reader.has("keys")) {
        rule.keys = read_list(
            reader, "keys", [](const std::string& id) { return Digest::parse(id).has_value(); },
            "a key's id, \"sha256:\" and 64 digits, as `kiln key list` prints it");
    }
    if (reader.has("threshold")) {
        rule.threshold = static_cast<std::size_t>(reader.integer("threshold", 1, largest_threshold));
    }
    if (reader.has("tests")) {
        if (reader.string("tests", 16) != "passed") {
            reader.refuse("tests", R"(is not "passed")");
        }
        rule.tested = true;
    }
    if (rule.keys && rule.keys->size() < rule.threshold) {
        reader.refuse("threshold", fmt::format("is {}, and there are only {} keys", rule.threshold, rule.keys->size()));
    }
    reader.finish();
    return rule;
}

std::string read_url(bundle::ObjectReader& reader)
{
    std::string url = reader.has("url") ? reader.string("url", longest_text) : std::string();
    if (!url.empty() && !url.starts_with("https://")) {
        reader.refuse("url", "does not begin with https://");
    }
    return url;
}

Product read_product(bundle::ObjectReader reader)
{
    Product product{.names =
                        read_list(reader, "names", is_pattern, "an image's name, or the beginning of one and \"*\""),
                    .title = reader.string("title", longest_name)};
    if (reader.has("description")) {
        product.description = reader.string("description", longest_text, bundle::Lines::many);
    }
    product.url = read_url(reader);
    reader.finish();
    return product;
}

Publisher read_publisher(bundle::ObjectReader reader)
{
    Publisher publisher{.account = reader.string("account", longest_name),
                        .name = reader.string("name", longest_name),
                        .verified = reader.boolean("verified"),
                        .url = read_url(reader)};
    if (!signing::is_account_id(publisher.account)) {
        reader.refuse("account", "is not an account of 12 digits");
    }
    if (publisher.name.empty()) {
        reader.refuse("name", "is empty");
    }
    const std::size_t count = reader.has("products") ? reader.array("products", most_entries).size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
        publisher.products.push_back(read_product(reader.element("products", i)));
    }
    reader.finish();
    return publisher;
}

void read_publishers(bundle::ObjectReader& reader, Policy& policy)
{
    const std::size_t count = reader.array("publishers", most_entries).size();
    for (std::size_t i = 0; i < count; ++i) {
        policy.publishers.push_back(read_publisher(reader.element("publishers", i)));
        if (std::ranges::count(policy.publishers, policy.publishers.back().account, &Publisher::account) > 1) {
            reader.refuse(fmt::format("publishers[{}].account", i), "is there twice");
        }
    }
}

bool covers_name(const std::vector<std::string>& patterns, std::string_view name)
{
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
        return pattern.ends_with('*') ? name.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1))
                                      : name == pattern;
    });
}

Policy read_policy(const Json& json, const std::string& file)
{
    bundle::ObjectReader reader(json, file);
    static_cast<void>(reader.integer("kiln_policy", 1, 1));
    Policy policy;
    if (reader.has("others")) {
        const std::string others = reader.string("others", 16);
        if (others != "trusted" && others != "refuse") {
            reader.refuse("others", R"(is neither "trusted" nor "refuse")");
        }
        policy.refuse_others = others == "refuse";
    }
    if (reader.has("publishers")) {
        read_publishers(reader, policy);
    }
    const std::size_t count = reader.array("rules", most_rules).size();
    for (std::size_t i = 0; i < count; ++i) {
        policy.rules.push_back(read_rule(reader.element("rules", i)));
    }
    reader.finish();
    return policy;
}

} // namespace

bool PolicyRule::covers(std::string_view name) const
{
    return covers_name(names, name);
}

const Product* Publisher::product_of(std::string_view image) const
{
    const auto found =
        std::ranges::find_if(products, [&](const Product& product) { return covers_name(product.names, image); });
    return found == products.end() ? nullptr : &*found;
}

const Publisher* Policy::verified_publisher(std::string_view account) const
{
    const auto found = std::ranges::find_if(
        publishers, [&](const Publisher& publisher) { return publisher.verified && publisher.account == account; });
    return found == publishers.end() ? nullptr : &*found;
}

const PolicyRule* Policy::rule_of(std::string_view name) const
{
    const auto found = std::ranges::find_if(rules, [&](const PolicyRule& rule) { return rule.covers(name); });
    return found == rules.end() ? nullptr : &*found;
}

Policy parse_policy(std::string_view text, const std::string& file)
{
    try {
        return read_policy(parse_json(text, file), file);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message(),
                    "no image is launched until it is corrected; docs/trust.md shows what may be in it");
    }
}

std::optional<Policy> find_policy(const fs::path& trust_folder)
{
    const fs::path file = trust_folder / "policy.json";
    if (!fs::exists(fs::symlink_status(file))) {
        return std::nullopt;
    }
    return parse_policy(read_file(file, largest_policy), file.native());
}

PolicyVerdict judge(const std::optional<Policy>& policy, std::string_view name, std::string_view owner,
                    const std::set<std::string>& signers)
{
    if (!policy) {
        return {!signers.empty(), "there is no policy file: any trusted key of the owner may sign it"};
    }
    const PolicyRule* const rule = policy->rule_of(name);
    if (rule == nullptr) {
        return policy->refuse_others
                   ? PolicyVerdict{false, "no rule covers this name, and others are refused"}
                   : PolicyVerdict{!signers.empty(),
                                   "no rule covers this name: any trusted key of the owner may sign it"};
    }
    const std::string title = fmt::format("rule {} ({})", rule - policy->rules.data() + 1, join(rule->names, ", "));
    if (std::ranges::find(rule->accounts, owner) == rule->accounts.end()) {
        return {false, fmt::format("{} is for account {}, not for {}", title, join(rule->accounts, ", "), owner)};
    }
    const auto counts = [&](const std::string& key) {
        return !rule->keys || std::ranges::find(*rule->keys, key) != rule->keys->end();
    };
    const auto found = static_cast<std::size_t>(std::ranges::count_if(signers, counts));
    return {found >= rule->threshold, fmt::format("{} wants {} of {}; {} signed it", title, rule->threshold,
                                                  rule->keys ? fmt::format("{} keys", rule->keys->size())
                                                             : std::string("the owner's trusted keys"),
                                                  found)};
}

} // namespace kiln::registry
