// SPDX-License-Identifier: Apache-2.0
#include "registry/organizations.h"

#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{

class OrganizationsTest : public test::RegionTest
{
protected:
    void define(const std::string& text) const
    {
        write_file_durably(temporary.path() / "trust" / "organizations.json", text);
    }
    Image image = publish("web", {1, 0, 0});
    const std::string member = "999999999999";
};

TEST_F(OrganizationsTest, Attack22_MembersMayLaunchUntilTheyOrTheImageLeave)
{
    change(image, share_with({.organizations = {"acme"}}));
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, member).kind());
    define(R"({"kiln_organizations":1,"organizations":[{"name":"acme","accounts":["999999999999"]},
        {"name":"other","accounts":["111111111111"]}]})");
    EXPECT_EQ("verified", verdict(image, member).message());
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, "111111111111").kind());
    EXPECT_EQ((std::vector<std::string>{"acme"}), region.resolve("web").launch_organizations);
    define(R"({"kiln_organizations":1,"organizations":[{"name":"acme","accounts":[]}]})");
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, member).kind());
    define(R"({"kiln_organizations":1,"organizations":[{"name":"acme","accounts":["999999999999"]}]})");
    change(image, unshare_with({.organizations = {"acme"}}));
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, member).kind());
    EXPECT_TRUE(region.resolve("web").launch_organizations.empty());
}

TEST_F(OrganizationsTest, ARowThatTheEventsDoNotExplainIsRefused)
{
    define(R"({"kiln_organizations":1,"organizations":[{"name":"acme","accounts":["999999999999"]}]})");
    sql("UPDATE images SET launch_organizations = 'acme'");
    EXPECT_THAT(verdict(image, member).message(), testing::HasSubstr("organizations acme instead of "));
}

// An event without an organization is one that a Kiln before organizations wrote, and reads.
TEST_F(OrganizationsTest, TheArgumentIsOnlyThereWhenThereIsOne)
{
    EXPECT_EQ(2U, share_with({.everyone = true}).arguments.size());
    EXPECT_EQ((Json{"acme", "b"}), share_with({.organizations = {"b", "acme", "b"}}).arguments.at("organizations"));
    for (const Json& bad : {Json::array(), Json("acme"), Json{"b", "a"}, Json{"a", "a"}, Json{"A"}, Json{1}}) {
        Change change = share_with({.organizations = {"acme"}});
        change.arguments["organizations"] = bad;
        EXPECT_THROW(this->change(image, change), Error) << bad;
    }
    Change other = share_with({.everyone = true});
    other.arguments["organisations"] = Json{"acme"};
    EXPECT_THROW(change(image, other), Error);
    EXPECT_EQ(ErrorKind::usage,
              test::error_of([] { static_cast<void>(share_with({.organizations = {"123"}})); }).kind());
}

TEST_F(OrganizationsTest, ADamagedFileLaunchesNothingThatDependsOnIt)
{
    define("{}");
    EXPECT_EQ("verified", verdict(image).message()); // shared with none
    change(image, share_with({.organizations = {"acme"}}));
    for (const char* text :
         {"{}", R"({"kiln_organizations":2,"organizations":[]})",
          R"({"kiln_organizations":1,"organizations":[{"name":"A","accounts":[]}]})",
          R"({"kiln_organizations":1,"organizations":[{"name":"a","accounts":[],"x":1}]})",
          R"({"kiln_organizations":1,"organizations":[{"name":"a","accounts":["1"]}]})",
          R"({"kiln_organizations":1,"organizations":[{"name":"a","accounts":[]},{"name":"a","accounts":[]}]})"}) {
        define(text);
        EXPECT_EQ(ErrorKind::untrusted, verdict(image, member).kind()) << text;
    }
}

} // namespace
} // namespace kiln::registry
