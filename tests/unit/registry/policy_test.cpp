// SPDX-License-Identifier: Apache-2.0
#include "registry/policy.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

namespace kiln::registry
{
namespace
{
using ::testing::HasSubstr;

const std::string alice = "111111111111";
const std::string bob = "222222222222";
const std::string one = "sha256:" + std::string(64, '1');
const std::string two = "sha256:" + std::string(64, '2');
const std::string three = "sha256:" + std::string(64, '3');

std::string complaint(const std::string& text)
{
    try {
        static_cast<void>(parse_policy(text, "policy.json"));
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_THAT(error.hint(), HasSubstr("docs/trust.md"));
        return error.message();
    }
    return "accepted";
}

std::string with_rule(const std::string& rule)
{
    return R"({"kiln_policy": 1, "rules": [{"names": ["web"], "accounts": ["111111111111"]}, )" + rule + "]}";
}

TEST(Policy, IsReadWithItsDefaults)
{
    const Policy policy = parse_policy(with_rule(R"({"names": ["db-*", "*"], "accounts": ["222222222222"],
        "keys": [")" + one + R"(", ")" + two + R"("], "threshold": 2})"),
                                       "policy.json");
    EXPECT_FALSE(policy.refuse_others);
    ASSERT_EQ(2U, policy.rules.size());
    EXPECT_EQ(1U, policy.rules[0].threshold);
    EXPECT_FALSE(policy.rules[0].keys);
    EXPECT_EQ(2U, policy.rules[1].threshold);
    EXPECT_EQ((std::vector{one, two}), policy.rules[1].keys);
    EXPECT_TRUE(parse_policy(R"({"kiln_policy": 1, "others": "refuse", "rules": []})", "x").refuse_others);
}

TEST(Policy, EveryComplaintHasItsPlace)
{
    const std::vector<std::pair<std::string, std::string>> table{
        {"", "policy.json is not valid JSON"},
        {"{\n  \"kiln_policy\": 1,\n  oops\n}", "line 3, column 3"},
        {"[]", "policy.json: is not an object"},
        {R"({"rules": []})", "policy.json: kiln_policy: is missing"},
        {R"({"kiln_policy": 2, "rules": []})", "policy.json: kiln_policy: "},
        {R"({"kiln_policy": 1})", "policy.json: rules: is missing"},
        {R"({"kiln_policy": 1, "rules": [], "rule": []})", "policy.json: rule: "},
        {R"({"kiln_policy": 1, "rules": [], "rules": []})", "has the key \"rules\" twice"},
        {R"({"kiln_policy": 1, "others": "allow", "rules": []})",
         "policy.json: others: is neither \"trusted\" nor \"refuse\""},
        {with_rule("1"), "policy.json: rules[1]: is not an object"},
        {with_rule(R"({"names": ["web"]})"), "policy.json: rules[1].accounts: is missing"},
        {with_rule(R"({"names": [], "accounts": ["111111111111"]})"), "policy.json: rules[1].names: is empty"},
        {with_rule(R"({"names": ["w*b"], "accounts": ["111111111111"]})"),
         "policy.json: rules[1].names[0]: is not an image's name, or the beginning of one and \"*\""},
        {with_rule(R"({"names": ["web", "../x"], "accounts": ["111111111111"]})"), "rules[1].names[1]: is not"},
        {with_rule(R"({"names": ["web", "web"], "accounts": ["111111111111"]})"), "rules[1].names[1]: is there twice"},
        {with_rule(R"({"names": ["web"], "accounts": ["me"]})"),
         "policy.json: rules[1].accounts[0]: is not an account of 12 digits"},
        {with_rule(R"({"names": ["web"], "accounts": ["111111111111"], "keys": ["key"]})"),
         "policy.json: rules[1].keys[0]: is not a key's id"},
        {with_rule(R"({"names": ["web"], "accounts": ["111111111111"], "tests": "run"})"),
         "policy.json: rules[1].tests: is not \"passed\""},
        {with_rule(R"({"names": ["web"], "accounts": ["111111111111"], "threshold": 0})"),
         "policy.json: rules[1].threshold: "},
        {with_rule(R"({"names": ["web"], "accounts": ["111111111111"], "threshold": "2"})"),
         "policy.json: rules[1].threshold: "},
        {with_rule(R"({"names": ["web"], "accounts": ["111111111111"], "keys": [")" + one + R"("], "threshold": 2})"),
         "policy.json: rules[1].threshold: is 2, and there are only 1 keys"},
    };
    for (const auto& [text, part] : table) {
        EXPECT_THAT(complaint(text), HasSubstr(part)) << text;
    }
}

TEST(Policy, TheFirstRuleThatCoversTheNameDecides)
{
    const Policy policy{.rules = {{.names = {"web-prod"}, .accounts = {alice}},
                                  {.names = {"web-*", "db"}, .accounts = {bob}},
                                  {.names = {"*"}, .accounts = {alice, bob}}}};
    EXPECT_TRUE(judge(policy, "web-prod", alice, {one}).passed);
    EXPECT_FALSE(judge(policy, "web-prod", bob, {one}).passed);
    EXPECT_TRUE(judge(policy, "web-test", bob, {one}).passed);
    EXPECT_TRUE(judge(policy, "db", bob, {one}).passed);
    EXPECT_FALSE(judge(policy, "db", alice, {one}).passed);
    EXPECT_TRUE(judge(policy, "db2", alice, {one}).passed);
    EXPECT_EQ("rule 1 (web-prod) is for account 111111111111, not for 222222222222",
              judge(policy, "web-prod", bob, {one}).detail);
}

TEST(Policy, WhatNoRuleCoversIsUpToOthers)
{
    const Policy open{.rules = {{.names = {"web"}, .accounts = {alice}}}};
    EXPECT_TRUE(judge(open, "db", bob, {one}).passed);
    EXPECT_FALSE(judge(open, "db", bob, {}).passed);
    Policy closed = open;
    closed.refuse_others = true;
    EXPECT_FALSE(judge(closed, "db", bob, {one}).passed);
    EXPECT_TRUE(judge(closed, "web", alice, {one}).passed);
    EXPECT_TRUE(judge(std::nullopt, "db", bob, {one}).passed);
    EXPECT_FALSE(judge(std::nullopt, "db", bob, {}).passed);
}

TEST(Policy, TheThresholdCountsOnlyTheKeysOfTheRule)
{
    const Policy policy{
        .rules = {{.names = {"web"}, .accounts = {alice}, .keys = std::vector{one, two}, .threshold = 2}}};
    EXPECT_FALSE(judge(policy, "web", alice, {}).passed);
    EXPECT_FALSE(judge(policy, "web", alice, {one}).passed);
    EXPECT_FALSE(judge(policy, "web", alice, {one, three}).passed);
    EXPECT_TRUE(judge(policy, "web", alice, {one, two, three}).passed);
    EXPECT_EQ("rule 1 (web) wants 2 of 2 keys; 1 signed it", judge(policy, "web", alice, {one, three}).detail);
}

TEST(Policy, IsAFileOfTheTrustStore)
{
    const test::TemporaryFolder folder;
    EXPECT_FALSE(find_policy(folder.path()));
    write_file_durably(folder.path() / "policy.json", R"({"kiln_policy": 1, "others": "refuse", "rules": []})");
    EXPECT_TRUE(find_policy(folder.path())->refuse_others);
    std::filesystem::remove(folder.path() / "policy.json");
    std::filesystem::create_symlink("nowhere", folder.path() / "policy.json");
    EXPECT_THROW(static_cast<void>(find_policy(folder.path())), Error);
}

std::string with_publisher(const std::string& publisher)
{
    return R"({"kiln_policy": 1, "rules": [], "publishers": [)" + publisher + "]}";
}

TEST(Policy, KnowsVerifiedPublishersAndTheirProducts)
{
    const Policy policy = parse_policy(
        with_publisher(R"({"account": "111111111111", "name": "Example", "verified": true, "url": "https://example.com",
            "products": [{"names": ["web-*"], "title": "Web", "description": "a\nb"}, {"names": ["*"], "title": "All"}]},
            {"account": "222222222222", "name": "Other", "verified": false})"),
        "policy.json");
    const Publisher* publisher = policy.verified_publisher(alice);
    ASSERT_NE(nullptr, publisher);
    EXPECT_EQ("Example", publisher->name);
    EXPECT_EQ("Web", publisher->product_of("web-1")->title);
    EXPECT_EQ("All", publisher->product_of("web")->title);
    EXPECT_EQ(nullptr, policy.verified_publisher(bob)); // noted down, not verified
    EXPECT_EQ(nullptr, policy.verified_publisher("333333333333"));
}

TEST(Policy, RefusesMalformedPublishers)
{
    EXPECT_EQ("policy.json: publishers[0].verified: is missing",
              complaint(with_publisher(R"({"account": "111111111111", "name": "x"})")));
    EXPECT_EQ("policy.json: publishers[0].account: is not an account of 12 digits",
              complaint(with_publisher(R"({"account": "1", "name": "x", "verified": true})")));
    EXPECT_EQ("policy.json: publishers[0].url: does not begin with https://",
              complaint(with_publisher(
                  R"({"account": "111111111111", "name": "x", "verified": true, "url": "javascript:x"})")));
    EXPECT_THAT(complaint(with_publisher(R"({"account": "111111111111", "name": "x\u001b", "verified": true})")),
                HasSubstr("publishers[0].name: holds a control character"));
    EXPECT_THAT(complaint(with_publisher(R"({"account": "111111111111", "name": "x", "verified": true},
                                            {"account": "111111111111", "name": "y", "verified": true})")),
                HasSubstr("publishers[1].account: is there twice"));
    EXPECT_THAT(
        complaint(with_publisher(R"({"account": "111111111111", "name": "x", "verified": true, "trusted": 1})")),
        HasSubstr("publishers[0].trusted"));
}

} // namespace
} // namespace kiln::registry
