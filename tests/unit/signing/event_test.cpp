// SPDX-License-Identifier: Apache-2.0
#include "signing/event.h"

#include "core/error.h"
#include "signing/dsse.h"
#include "tests/support/complaint.h"
#include "tests/support/golden.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace kiln::signing
{
namespace
{

const Event sample{.region = "local",
                   .number = 17,
                   .previous = digest_of("event 16"),
                   .image_previous = digest_of("event 3"),
                   .time = "2026-11-26T01:44:58Z",
                   .account = "123456789012",
                   .image = "ami-0123456789abcdef0",
                   .manifest = digest_of("manifest"),
                   .action = "share",
                   .arguments = {{"public", false}, {"accounts", Json::array({"210987654321"})}}};

std::string complaint_about(const std::string& payload)
{
    return test::complaint_of([&] { static_cast<void>(parse_event(payload)); });
}

TEST(Event, IsWrittenAsItsGoldenFile)
{
    test::expect_golden("signing/event.json", event_payload(sample) + "\n");
}

TEST(Event, ReadsWhatItSigned)
{
    const SecretKey key = SecretKey::generate();
    std::string asked;
    const ReadEvent read = read_event(sign_event(sample, key), [&](std::string_view account, std::string_view time) {
        asked = fmt::format("{} {}", account, time);
        return std::vector{key.public_key()};
    });
    EXPECT_EQ(sample.account + " " + sample.time, asked);
    EXPECT_TRUE(read.verified);
    EXPECT_EQ(event_payload(sample), event_payload(read.event));
    EXPECT_EQ(digest_of(event_payload(sample)), read.digest);
}

TEST(Event, AnotherKeyOrAnotherTypeOfPayloadProvesNothing)
{
    const SecretKey key = SecretKey::generate();
    EXPECT_FALSE(read_event(sign_event(sample, key), no_keys).verified);
    EXPECT_FALSE(read_event(sign_event(sample, SecretKey::generate()), [&](std::string_view /*account*/,
                                                                           std::string_view /*time*/) {
                     return std::vector{key.public_key()};
                 }).verified);
    const std::string other = sign_envelope(in_toto_payload_type, event_payload(sample), key);
    EXPECT_THROW(static_cast<void>(read_event(other, no_keys)), Error);
    EXPECT_THROW(static_cast<void>(read_event("{}", no_keys)), Error);
    EXPECT_THROW(static_cast<void>(read_event(R"({"payload":"!"})", no_keys)), Error);
}

TEST(Event, RefusesWhatIsNotOne)
{
    const Json whole = parse_json(event_payload(sample), "test");
    const std::vector<std::tuple<const char*, Json, std::string>> table{
        {"/schema", 2, "it was made by a newer Kiln (schema 2)"},
        {"/number", 0, "its number and the event before do not fit"},
        {"/number", 1, "its number and the event before do not fit"},
        {"/number", "17", "\"number\" is not an integer"},
        {"/previous", nullptr, "its number and the event before do not fit"},
        {"/previous", "sha256:x", "\"previous\" is not a digest"},
        {"/account", "me", "malformed"},
        {"/image", "../../x", "malformed"},
        {"/arguments", Json::array(), "malformed"},
        {"/expires", "2027-01-01T00:00:00Z", "holds fields that this version of Kiln does not know"},
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
