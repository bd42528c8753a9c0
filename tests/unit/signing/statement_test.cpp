// SPDX-License-Identifier: Apache-2.0
#include "signing/statement.h"

#include "core/error.h"
#include "core/json.h"
#include "tests/support/complaint.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

namespace kiln::signing
{
namespace
{

const Statement sample{.name = "debian-12",
                       .version = {1, 4, 2},
                       .architecture = "x86_64",
                       .manifest = digest_of("manifest"),
                       .account = "123456789012",
                       .signed_at = "2026-11-23T17:44:58Z"};

std::string complaint_about(const std::string& payload)
{
    return test::complaint_of([&] { static_cast<void>(parse_statement(payload)); });
}

TEST(Statement, IsWrittenAsItsGoldenFile)
{
    test::expect_golden("signing/statement.json", statement_payload(sample) + "\n");
}

TEST(Statement, ReadsWhatItWrote)
{
    const Statement parsed = parse_statement(statement_payload(sample));
    EXPECT_EQ(sample.name, parsed.name);
    EXPECT_EQ(sample.version, parsed.version);
    EXPECT_EQ(sample.architecture, parsed.architecture);
    EXPECT_EQ(sample.manifest, parsed.manifest);
    EXPECT_EQ(sample.account, parsed.account);
    EXPECT_EQ(sample.signed_at, parsed.signed_at);
}

TEST(Statement, RefusesWhatIsNotOne)
{
    const Json whole = parse_json(statement_payload(sample), "test");
    const std::string strange = "holds fields that this version of Kiln does not know";
    const std::vector<std::tuple<const char*, Json, std::string>> table{
        {"/_type", "https://in-toto.io/Statement/v0.1", "not an in-toto statement of version 1"},
        {"/predicateType", "https://slsa.dev/provenance/v1", "does not speak about an AMI"},
        {"/subject", Json::array(), "exactly one subject"},
        {"/subject", Json::array({whole["subject"][0], whole["subject"][0]}), "exactly one subject"},
        {"/subject/0/digest", {{"sha256", "abc"}}, "no SHA-256 digest"},
        {"/subject/0/digest", {{"sha512", "abc"}}, "lacks \"sha256\""},
        {"/subject/0/name", "other@1.4.2", strange},
        {"/subject/0/digest/sha1", "abc", strange},
        {"/predicate/version", "1.4", "its version is not like 1.2.3"},
        {"/predicate/expires", "2027-01-01T00:00:00Z", strange},
        {"/predicate/name", 1, "\"name\" is not a string"},
        {"/extra", 1, strange},
    };
    for (const auto& [pointer, value, part] : table) {
        Json json = whole;
        json[Json::json_pointer(pointer)] = value;
        EXPECT_THAT(complaint_about(json.dump()), ::testing::HasSubstr(part)) << pointer;
    }
    EXPECT_NE("accepted", complaint_about(""));
    EXPECT_NE("accepted", complaint_about("[]"));
}

} // namespace
} // namespace kiln::signing
