// SPDX-License-Identifier: Apache-2.0
#include "bundle/index_scan.h"

#include "bundle/oci.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

namespace kiln::bundle
{
namespace
{
using ::testing::ElementsAre;

std::vector<std::string> entries_of(std::string_view index)
{
    std::vector<std::string> entries;
    each_index_entry(index, [&](std::string_view entry) { entries.emplace_back(entry); });
    return entries;
}

TEST(IndexScan, FindsTheEntriesHoweverTheyAreWritten)
{
    EXPECT_THAT(entries_of(R"({"manifests":[],"schemaVersion":2})"), ElementsAre());
    EXPECT_THAT(entries_of(" {\n \"a\" : {\"manifests\":[1]} , \"b\":[[],{}], \"manifests\" : [ {\"x\":\"]}\\\"\"} ,\n"
                           "[1,{}], 7 , null ] , \"schemaVersion\" : 2 } \n"),
                ElementsAre(R"({"x":"]}\""})", "[1,{}]", "7", "null"));
}

TEST(IndexScan, RefusesWhatIsNoIndex)
{
    for (const char* text : {"", "[]", "{}", "{", R"({"manifests":{}})", R"({"manifests":[)", R"({"manifests":[{]})",
                             R"({"manifests":[1 2]})", R"({"manifests":[,]})", R"({"manifests":[]} x)",
                             R"({"manifests":["a)", R"({"manifests":["a\)", R"({"manifests")"}) {
        EXPECT_THROW(entries_of(text), Error) << text;
    }
}

class AppendTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    Layout layout{folder.path() / "layout", true};

    Layout::NewEntry entry(const std::string& content, const std::string& name) const
    {
        return {layout.put(content, oci_manifest_type), ami_artifact_type, {{reference_name_annotation, name}}};
    }
    std::string text() const { return read_file(folder.path() / "layout" / "index.json"); }
    std::string without_room() const
    {
        std::string text = this->text();
        std::erase(text, ' ');
        return text;
    }
    std::string canonical() const { return canonical_json(parse_json(text(), "index")); }
};

TEST_F(AppendTest, AppendingIsTheSameAsWritingItAnew)
{
    layout.add_to_index({entry("a", "x-1"), entry("b", "x-2")});
    EXPECT_EQ(canonical(), without_room());
    layout.add_to_index({entry("c", "x-3")});
    EXPECT_EQ(canonical(), without_room());
    const std::string before = text();
    layout.add_to_index({entry("c", "x-3"), entry("a", "x-1")}); // there already
    EXPECT_EQ(before, text());
    EXPECT_EQ(3U, layout.find_all(ami_artifact_type).size());
}

TEST_F(AppendTest, ANameThatIsTakenGoesToTheNewerOne)
{
    layout.add_to_index({entry("a", "x-1")});
    layout.add_to_index({entry("b", "x-1")});
    const auto found = layout.find_all(ami_artifact_type);
    ASSERT_EQ(2U, found.size());
    EXPECT_TRUE(found[0].annotations.empty());
    EXPECT_EQ("x-1", found[1].annotations.at(std::string(reference_name_annotation)));
    EXPECT_EQ(canonical(), text());
}

TEST_F(AppendTest, ANameIsFoundWhereverItLiesInALargeIndex)
{
    std::vector<Layout::NewEntry> many;
    for (int i = 0; i < 4000; ++i) {
        const std::string name = "x-" + std::to_string(i);
        many.push_back({{std::string(oci_manifest_type), digest_of(name), ByteSize(2)},
                        ami_artifact_type,
                        {{reference_name_annotation, name}}});
    }
    layout.add_to_index(many);
    const std::string before = text();
    ASSERT_GT(before.size(), 3 * 256 * 1024U);
    for (std::size_t i = 0; i < many.size(); ++i) { // those around where one read ends and the next begins
        const std::size_t place = before.find(many[i].manifest.digest.to_string());
        if (place % (256 * 1024) > 256 * 1024 - 100) {
            layout.add_to_index({many[i]});
            EXPECT_EQ(before, text()) << i;
        }
    }
    layout.add_to_index({entry("new", "y")});
    EXPECT_EQ(canonical(), without_room());
    EXPECT_EQ(4001U, layout.find_all(ami_artifact_type).size());
}

TEST_F(AppendTest, AnEntryGoesIntoTheRoomThatThereIsAndIntoOnePage)
{
    layout.add_to_index({entry("first", "x-first")}); // the room is made
    const std::string before = text();
    std::filesystem::create_hard_link(folder.path() / "layout" / "index.json", folder.path() / "same");
    std::vector<std::string> digests;
    for (int i = 0; i < 30; ++i) {
        const auto one = entry("e" + std::to_string(i), "x-" + std::to_string(i));
        digests.push_back(one.manifest.digest.to_string());
        layout.add_to_index({one});
    }
    EXPECT_EQ(text(), read_file(folder.path() / "same")) << "written in place";
    EXPECT_EQ(before.size(), text().size());
    EXPECT_EQ(31U, layout.find_all(ami_artifact_type).size());
    for (const std::string& digest : digests) {
        const std::size_t place = text().find(digest);
        EXPECT_EQ(text().rfind('{', place) / 4096, text().find('}', place) / 4096);
    }
    while (text().size() == before.size()) { // until the room is used up
        layout.add_to_index({entry(std::to_string(digests.size()), "y-" + std::to_string(digests.size()))});
        digests.emplace_back();
    }
    EXPECT_EQ(before.size(), read_file(folder.path() / "same").size()) << "a new file in its place";
    EXPECT_EQ(digests.size() + 1, layout.find_all(ami_artifact_type).size());
    EXPECT_EQ(canonical(), without_room());
}

TEST_F(AppendTest, AnotherToolsIndexIsTakenAsItIs)
{
    layout.add_to_index({entry("a", "x-1")});
    write_file_durably(folder.path() / "layout" / "index.json", parse_json(text(), "index").dump(4));
    layout.add_to_index({entry("b", "x-2")});
    EXPECT_EQ(canonical(), text());
    EXPECT_EQ(2U, layout.find_all(ami_artifact_type).size());
    write_file_durably(folder.path() / "layout" / "index.json", "{}");
    EXPECT_THROW(layout.add_to_index({entry("c", "x-3")}), Error);
}

} // namespace
} // namespace kiln::bundle
