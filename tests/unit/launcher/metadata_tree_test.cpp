// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/metadata_tree.h"
#include "tests/support/golden.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace kiln::launcher
{
namespace
{

MetadataSource source()
{
    MetadataSource source;
    source.instance = small_instance(InstancePaths(paths_in("/home/kiln"), "i-0123456789abcdef0"));
    source.instance.disks.push_back({"/dev/vdb", gibibytes(1), true, "/disk1", {}});
    source.instance.metadata.tags = true;
    source.public_keys = "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0\n";
    source.identity_signature = "c2lnbmVk";
    source.user_data = "#!/bin/sh\n";
    return source;
}

// What cloud-init does with a list (cloudinit/sources/helpers/ec2.py, MetadataMaterializer): folders have a slash,
// "0=name" is at 0/openssh-key. Returns the leaves, and fails where something that is listed is not there.
void crawl(const MetadataTree& tree, const std::string& folder, std::map<std::string, std::string>& leaves)
{
    const auto list = find_metadata(tree, folder);
    ASSERT_TRUE(list) << folder;
    std::istringstream lines(*list);
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with('/')) {
            crawl(tree, folder + line, leaves);
            continue;
        }
        const auto equals = line.find('=');
        const std::string path = folder + (equals == line.npos ? line : line.substr(0, equals) + "/openssh-key");
        const auto leaf = find_metadata(tree, path);
        ASSERT_TRUE(leaf) << path;
        leaves[path] = *leaf;
    }
}

TEST(MetadataTree, EveryListedLeafResolves)
{
    const MetadataTree tree = metadata_tree(source());
    for (const std::string_view version : metadata_versions) {
        std::map<std::string, std::string> leaves;
        crawl(tree, "/" + std::string(version) + "/", leaves);
        EXPECT_EQ(leaves.size(), tree.size()) << version;
    }
}

TEST(MetadataTree, Golden)
{
    std::string text;
    for (const auto& [path, value] : metadata_tree(source())) {
        text += path + ": " + value + "\n";
    }
    test::expect_golden("launcher/metadata-tree.txt", text);
}

TEST(MetadataTree, Lists)
{
    const MetadataTree tree = metadata_tree(source());
    EXPECT_EQ(find_metadata(tree, "/"), "2009-04-04\n2016-09-02\n2018-09-24\n2021-03-23\nlatest");
    EXPECT_EQ(find_metadata(tree, "/latest"), "dynamic/\nmeta-data/\nuser-data");
    EXPECT_EQ(find_metadata(tree, "/latest/"), "dynamic/\nmeta-data/\nuser-data");
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/"), "0=kiln-launch-key");
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/0/"), "openssh-key");
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/0/openssh-key"),
              "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0");
    EXPECT_EQ(find_metadata(tree, "/2021-03-23/meta-data/block-device-mapping"), "ami\nebs1\nroot");
    EXPECT_EQ(find_metadata(tree, "/2009-04-04/meta-data/instance-id"), "i-0123456789abcdef0");
}

TEST(MetadataTree, AKeyPairComesFirstAndHasItsName)
{
    MetadataSource more = source();
    more.public_keys = "ssh-rsa BBBB ops kiln-launch-key i-0123456789abcdef0\n" + more.public_keys;
    const MetadataTree tree = metadata_tree(more);
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/"), "0=ops\n1=kiln-launch-key");
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/0/openssh-key"),
              "ssh-rsa BBBB ops kiln-launch-key i-0123456789abcdef0");
    EXPECT_EQ(find_metadata(tree, "/latest/meta-data/public-keys/1/"), "openssh-key");
    more.public_keys = "ssh-rsa\n"; // no line of ours, and nothing to fall over
    EXPECT_EQ(find_metadata(metadata_tree(more), "/latest/meta-data/public-keys/"), "0=");
}

TEST(MetadataTree, VolumesAreBlockDevicesToo)
{
    MetadataSource more = source();
    more.instance.volumes.push_back({"/dev/sdf", gibibytes(1), true, "/disk", {}, "vol-0123456789abcdef0"});
    EXPECT_EQ(find_metadata(metadata_tree(more), "/latest/meta-data/block-device-mapping/ebs2"), "sdf");
}

TEST(MetadataTree, HasNothingElse)
{
    const MetadataTree tree = metadata_tree(source());
    for (const char* path : {"", "latest/", "//", "//latest/meta-data/", "/2007-01-19/", "/lates", "/latest/meta",
                             "/latest/meta-data/ami-id/", "/latest/meta-data//ami-id", "/latest/../latest/",
                             "/latest/meta-data/public-keys/1/", "/latest/meta-data/ami-i"}) {
        EXPECT_FALSE(find_metadata(tree, path)) << path;
    }
}

TEST(MetadataTree, SaysOnlyWhatIsAllowedAndThere)
{
    MetadataSource less = source();
    less.user_data.reset();
    less.identity_signature.reset();
    less.instance.metadata.tags = false;
    const MetadataTree tree = metadata_tree(less);
    EXPECT_FALSE(find_metadata(tree, "/latest/user-data"));
    EXPECT_EQ(find_metadata(tree, "/latest/dynamic/instance-identity/"), "document");
    EXPECT_FALSE(find_metadata(tree, "/latest/meta-data/tags/"));
    less.instance.name.reset();
    EXPECT_EQ(metadata_tree(less).at("meta-data/local-hostname"), "i-0123456789abcdef0");
    EXPECT_EQ(parse_json(identity_document(less.instance), "it").at("instanceId"), "i-0123456789abcdef0");
}

} // namespace
} // namespace kiln::launcher
