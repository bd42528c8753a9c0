// SPDX-License-Identifier: Apache-2.0
// Sizes, versions, ids, text, JSON: the small values that everything is made of.
#include "core/byte_size.h"
#include "core/error.h"
#include "core/json.h"
#include "core/random.h"
#include "core/semantic_version.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace kiln
{
namespace
{

TEST(ByteSize, ParsesBinaryUnitsOnly)
{
    EXPECT_EQ(parse_byte_size("2GiB"), gibibytes(2));
    EXPECT_EQ(parse_byte_size("2 GiB"), gibibytes(2));
    EXPECT_EQ(parse_byte_size("512MiB"), mebibytes(512));
    EXPECT_EQ(parse_byte_size("0B"), ByteSize(0));
    for (const char* wrong : {"", "2", "2GB", "GiB", "-2GiB", "2  GiB", "2GiBx", "9999999999TiB", "1.5GiB", " 2GiB"}) {
        EXPECT_FALSE(parse_byte_size(wrong)) << wrong;
    }
}

TEST(ByteSize, WritesTheUnitOut)
{
    EXPECT_EQ(to_string(gibibytes(2)), "2 GiB");
    EXPECT_EQ(to_string(ByteSize(1536)), "1.5 KiB");
    EXPECT_EQ(to_string(ByteSize(17)), "17 B");
}

TEST(SemanticVersion, ParsesAndOrders)
{
    EXPECT_LT(*parse_semantic_version("1.9.0"), *parse_semantic_version("1.10.0"));
    EXPECT_EQ(parse_semantic_version("1.2.3")->to_string(), "1.2.3");
    for (const char* wrong :
         {"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.-3", "1.2.3-rc1", "v1.2.3", "1.2.99999999999"}) {
        EXPECT_FALSE(parse_semantic_version(wrong)) << wrong;
    }
}

TEST(VersionPattern, WildcardsStandOnTheRight)
{
    EXPECT_TRUE(parse_version_pattern("1.2.x")->matches({1, 2, 9}));
    EXPECT_FALSE(parse_version_pattern("1.2.x")->matches({1, 3, 0}));
    EXPECT_TRUE(parse_version_pattern("x.x.x")->matches({7, 0, 1}));
    EXPECT_FALSE(parse_version_pattern("x.1.x"));
    EXPECT_FALSE(parse_version_pattern("1.x.3"));
}

TEST(ResourceId, HasEc2sForm)
{
    std::set<std::string> ids;
    for (int i = 0; i < 100; ++i) {
        const std::string id = random_resource_id("ami-");
        EXPECT_TRUE(is_resource_id("ami-", id)) << id;
        ids.insert(id);
    }
    EXPECT_EQ(ids.size(), 100U);
    EXPECT_FALSE(is_resource_id("ami-", "ami-../../../../etc/pass"));
    EXPECT_FALSE(is_resource_id("ami-", "ami-0123456789ABCDEF0"));
    EXPECT_EQ(random_decimal(12).size(), 12U);
    EXPECT_NE(random_decimal(12).front(), '0');
    EXPECT_EQ(random_uuid().size(), 36U);
}

TEST(Printable, ShowsWhatATerminalWouldObey)
{
    EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("a\nb\t"), "a\nb\t");
    EXPECT_EQ(printable("a\nb", false), "a\\x0ab");
    EXPECT_EQ(printable("ü€😀"), "ü€😀");
    EXPECT_EQ(printable("\xff\xc0\x80"), "\\xff\\xc0\\x80");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b"); // CSI as a C1 control
    EXPECT_EQ(printable("a\u202eb\u200b\ufeff"), "a\\u202eb\\u200b\\ufeff");
    EXPECT_EQ(printable("\u200d"), "\u200d");                // in many an emoji
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
}

TEST(TailInOneLine, JoinsLinesAndNotWhatIsInThem)
{
    EXPECT_EQ(tail_in_one_line("zero\none\n\ntw\x1bo\n\n", 3), "one; tw\\x1bo");
    EXPECT_EQ(tail_in_one_line("one", 3), "one");
    EXPECT_EQ(tail_in_one_line("", 3), "");
}

TEST(NearMiss, FindsATypingErrorAndNoMore)
{
    constexpr std::array<std::string_view, 3> keys{"architecture", "description", "version"};
    EXPECT_EQ(near_miss("architectur", keys), "architecture");
    EXPECT_EQ(near_miss("vresion", keys), "version");
    EXPECT_FALSE(near_miss("packages", keys));
}

TEST(NextLine, TakesOneOff)
{
    std::string_view text = "a\n\nb";
    EXPECT_EQ(next_line(text), "a");
    EXPECT_EQ(next_line(text), "");
    EXPECT_EQ(next_line(text), "b");
    EXPECT_EQ(text, "");
}

TEST(TailLines, TakesTheLastOnes)
{
    EXPECT_EQ(tail_lines("a\nb\nc\n", 2), "b\nc");
    EXPECT_EQ(tail_lines("a\n", 5), "a");
    EXPECT_EQ(tail_lines("", 5), "");
}

TEST(Table, PadsAllButTheLastColumn)
{
    EXPECT_EQ(table({{"A", "B"}, {"long", "x"}}), "A     B\nlong  x\n");
}

TEST(HumanDuration, ReadsAloud)
{
    using std::chrono::duration;
    EXPECT_EQ(human_duration(duration<double>(0.417)), "0.42 s");
    EXPECT_EQ(human_duration(duration<double>(21.34)), "21.3 s");
    EXPECT_EQ(human_duration(duration<double>(125)), "2 min 05 s");
}

TEST(CanonicalJson, SortsKeysAndRefusesFloats)
{
    EXPECT_EQ(canonical_json({{"b", 1}, {"a", {true, nullptr}}}), R"({"a":[true,null],"b":1})");
    EXPECT_THROW(static_cast<void>(canonical_json({{"a", 1.5}})), Error);
    EXPECT_THROW(static_cast<void>(canonical_json({{"a", "\xff"}})), Error);
}

TEST(ParseJson, HostileTextIsAnError)
{
    EXPECT_EQ(parse_json(R"({"a":[1]})", "x").at("a").at(0), 1);
    EXPECT_THROW(static_cast<void>(parse_json(R"({"a":1,"a":2})", "x")), Error);
    EXPECT_THROW(static_cast<void>(parse_json(std::string(100'000, '['), "x")), Error);
    EXPECT_THROW(static_cast<void>(parse_json("{", "x")), Error);
    EXPECT_THROW(static_cast<void>(parse_json("", "x")), Error);
    EXPECT_THROW(static_cast<void>(string_member({{"a", 1}}, "a", "x")), Error);
    EXPECT_THROW(static_cast<void>(string_member(Json::array(), "a", "x")), Error);
}

} // namespace
} // namespace kiln
