// SPDX-License-Identifier: Apache-2.0
// What two images differ in, from what the appliance prints; hostile text among it.
#include "builder/diff/image_diff.h"
#include "builder/diff/tree_listing.h"
#include "builder/diff/two_systems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

using namespace std::string_literals;
using Kind = FileChange::Kind;

TEST(TreeListing, EntriesAreReadAndOthersLeftOut)
{
    const Tree tree = parse_listing("f 644 0:0 12 1.5 2.5 etc/a b\nc\0"
                                    "d 755 0:0 4096 1 2 \0"   // the root itself
                                    "f 644 0:0 x 1 2 wrong\0" // no size
                                    "f 644 0:0 12\0"          // cut off
                                    "l 777 33:33 4 1 2 var/link\0"s);
    ASSERT_EQ(tree.size(), 2U);
    EXPECT_EQ(tree.at("etc/a b\nc").size, 12);
    EXPECT_EQ(tree.at("var/link").owner, "33:33");
}

TEST(TreeListing, MetadataDecidesAndTheRestIsCompared)
{
    const Tree before = parse_listing("f 644 0:0 10 1 1 same\0f 644 0:0 10 1 1 longer\0f 644 0:0 10 1 1 gone\0"
                                      "d 755 0:0 4096 1 1 folder\0f 644 0:0 5 1 1 mode\0f 644 0:0 7 1 1 kind\0"s);
    const Tree after = parse_listing("f 644 0:0 10 9 9 same\0f 644 0:0 30 9 9 longer\0f 644 0:0 3 9 9 new\0"
                                     "d 755 0:0 8192 9 9 folder\0f 600 0:0 5 1 9 mode\0l 777 0:0 7 9 9 kind\0"s);
    const TreeDiff diff = diff_trees(before, after);
    std::vector<std::pair<std::string, Kind>> found;
    for (const FileChange& file : diff.files) {
        found.emplace_back(file.path, file.kind);
    }
    EXPECT_THAT(found,
                testing::ElementsAre(testing::Pair("/gone", Kind::removed), testing::Pair("/kind", Kind::changed),
                                     testing::Pair("/longer", Kind::changed), testing::Pair("/mode", Kind::changed),
                                     testing::Pair("/new", Kind::added)));
    EXPECT_THAT(diff.same_metadata, testing::ElementsAre("same"));
    EXPECT_EQ(diff.size_change, (10 + 30 + 3 + 5) - (10 + 10 + 10 + 5 + 7));
}

TEST(TreeListing, DigestsAndOwners)
{
    const auto digests = parse_digests("aa  ./etc/x y\0bb *./bin/z\0cc  no\0"s);
    EXPECT_THAT(digests, testing::ElementsAre(testing::Pair("bin/z", "bb"), testing::Pair("etc/x y", "aa")));
    const auto owned = parse_owned("@nginx\n/.\n/usr/sbin/nginx\n@libc6\n/lib/x.so\nnonsense\n");
    EXPECT_EQ(owned.at("/usr/sbin/nginx"), "nginx");
    EXPECT_EQ(owned.at("/lib/x.so"), "libc6");
    EXPECT_EQ(owned.at("/usr/lib/x.so"), "libc6");
    EXPECT_FALSE(owned.contains("nonsense"));
}

TEST(TreeListing, StateAndUnits)
{
    EXPECT_TRUE(is_state("/var/log/syslog"));
    EXPECT_TRUE(is_state("/var/cache"));
    EXPECT_FALSE(is_state("/var/logger"));
    EXPECT_FALSE(is_state("/etc/nginx/nginx.conf"));
    EXPECT_EQ(enabled_unit("/etc/systemd/system/multi-user.target.wants/nginx.service"), "nginx.service");
    EXPECT_EQ(enabled_unit("/etc/systemd/system/nginx.service"), "");
    EXPECT_EQ(enabled_unit("/etc/systemd/system/x.wants/y/z"), "");
    EXPECT_EQ(enabled_unit("/usr/lib/systemd/system/x.wants/y"), "");
}

TEST(TwoSystems, DrivesOfDevices)
{
    EXPECT_EQ(drive_of("/dev/sda1"), 0U);
    EXPECT_EQ(drive_of("/dev/sdc"), 2U);
    EXPECT_EQ(drive_of("/dev/sdz"), 25U);
    EXPECT_EQ(drive_of("/dev/sdaa1"), 26U);
    EXPECT_EQ(drive_of("/dev/vg/root"), std::nullopt);
    EXPECT_EQ(drive_of("/dev/sd1"), std::nullopt);
}

TEST(TreeListing, HugeSizesDoNotOverflow)
{
    const std::string huge = "f 644 0:0 9223372036854775807 1 1 ";
    const Tree none;
    const Tree many = parse_listing(huge + "a\0"s + huge + "b\0"s + huge + "c\0"s);
    EXPECT_EQ(diff_trees(none, many).size_change, largest_size_change);
    EXPECT_EQ(diff_trees(many, none).size_change, -largest_size_change);
}

TEST(ImageDiff, WhatAGuestChoseIsShown)
{
    ImageDiff diff;
    diff.packages = {{"a\xff", "amd64", "", "1\n"}};
    diff.users_added = {"\xff"};
    diff.services_disabled = {"x\x1b.service"};
    const std::string json = to_json(diff).dump();
    for (const char* shown : {R"("a\\xff")", R"("1\\x0a")", R"(["\\xff"])", R"(["x\\x1b.service"])"}) {
        EXPECT_THAT(json, testing::HasSubstr(shown));
    }
}

TEST(DiffPackages, AddedRemovedAndChanged)
{
    const std::vector<Package> before = {{"curl", "1", "amd64"}, {"nano", "2", "amd64"}, {"tzdata", "3", "all"}};
    const std::vector<Package> after = {{"curl", "1.1", "amd64"}, {"nginx", "5", "amd64"}, {"tzdata", "3", "all"}};
    const auto changes = diff_packages(before, after);
    ASSERT_EQ(changes.size(), 3U);
    EXPECT_EQ(changes[0].name + changes[0].from + changes[0].to, "curl11.1");
    EXPECT_EQ(changes[1].name + changes[1].from + changes[1].to, "nano2");
    EXPECT_EQ(changes[2].name + changes[2].from + changes[2].to, "nginx5");
}

} // namespace
} // namespace kiln::builder
