// SPDX-License-Identifier: Apache-2.0
// Attacks 8 and 9 of docs/threat-model.md in the layers of a container image, and how honest layers are flattened.
#include "builder/oci_rootfs.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/process.h"
#include "tests/support/made_tar.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;
using test::tar_of;
using Layer = std::vector<test::MadeMember>;

class ContainerImage : public testing::Test
{
protected:
    ContainerImage() { fs::create_directories(blobs()); }

    [[nodiscard]] fs::path blobs() const { return folder_.path() / "layout/blobs/sha256"; }
    [[nodiscard]] fs::path tar() const { return folder_.path() / "out/tar"; }

    [[nodiscard]] Json blob(const std::string& type, const std::string& bytes) const
    {
        const Digest digest = digest_of(bytes);
        write_file_durably(blobs() / digest.hex(), bytes);
        return {{"mediaType", type}, {"digest", digest.to_string()}, {"size", bytes.size()}};
    }
    [[nodiscard]] Json layer(const Layer& members) const
    {
        return blob("application/vnd.oci.image.layer.v1.tar", tar_of(members));
    }
    [[nodiscard]] Json manifest(const Json& layers, const std::string& architecture = "amd64") const
    {
        const Json config = blob("application/vnd.oci.image.config.v1+json",
                                 canonical_json({{"architecture", architecture}, {"os", "linux"}}));
        return blob("application/vnd.oci.image.manifest.v1+json",
                    canonical_json({{"schemaVersion", 2}, {"config", config}, {"layers", layers}}));
    }
    [[nodiscard]] static Digest digest_in(const Json& descriptor)
    {
        return Digest::parse(descriptor.at("digest").get<std::string>()).value();
    }
    [[nodiscard]] Digest image(const std::vector<Layer>& layers) const
    {
        Json descriptors = Json::array();
        for (const Layer& each : layers) {
            descriptors.push_back(layer(each));
        }
        return digest_in(manifest(descriptors));
    }
    [[nodiscard]] std::string listing(const Digest& image) const
    {
        fs::remove_all(folder_.path() / "out");
        fs::create_directories(folder_.path() / "out");
        write_oci_tar(folder_.path() / "layout", image, tar(), {});
        EXPECT_EQ(1, std::distance(fs::directory_iterator(folder_.path() / "out"), {}));
        return run_or_throw({.argv = {"tar", "-tf", tar().native()}}, "listing");
    }
    [[nodiscard]] std::string content(const std::string& name) const
    {
        return run_or_throw({.argv = {"tar", "-xOf", tar().native(), name}}, "reading");
    }
    void expect_refused(const Digest& image, const std::string& reason, ErrorKind kind = ErrorKind::untrusted) const
    {
        fs::create_directories(folder_.path() / "out");
        try {
            write_oci_tar(folder_.path() / "layout", image, tar(), {});
            ADD_FAILURE() << "taken, instead of: " << reason;
        } catch (const Error& error) {
            EXPECT_EQ(kind, error.kind()) << error.what();
            EXPECT_NE(std::string::npos, std::string(error.what()).find(reason)) << error.what();
        }
        EXPECT_TRUE(fs::is_empty(folder_.path() / "out"));
        fs::remove_all(folder_.path() / "out");
    }

    test::TemporaryFolder folder_;
};

TEST_F(ContainerImage, UpperLayersReplaceAndHide)
{
    const Digest made = image({
        {{"etc/", '5'}, {"etc/a", '0', "old"}, {"etc/b", '0', "b"}, {"opt/x/y", '0', "y"}, {"gone/z", '0'}},
        {{"etc/a", '0', "new"}, {"etc/.wh.b"}, {"opt/.wh..wh..opq"}, {"opt/own", '0', "o"}, {".wh.gone"}},
    });
    EXPECT_EQ(listing(made), "etc/\nopt/\netc/a\nopt/own\n");
    EXPECT_EQ(content("etc/a"), "new");
}

TEST_F(ContainerImage, KindsMayChangeFromLayerToLayer)
{
    EXPECT_EQ(listing(image({{{"a/b", '0', "x"}}, {{"a", '2', "", "c"}}})), "a\n");
    EXPECT_EQ(listing(image({{{"a", '2', "", "c"}}, {{"a/", '5'}, {"a/b", '0', "x"}}})), "a/\na/b\n");
    EXPECT_EQ(listing(image({{{"a", '0', "x"}}, {{"dev/null", '3'}}, {}})), "dev/\na\n");
}

TEST_F(ContainerImage, AHardLinkKeepsTheContentOfAReplacedFile)
{
    const Digest made = image({
        {{"a", '0', "first"}, {"b", '1', "", "a"}, {"c", '1', "", "b"}},
        {{"a", '0', "second"}},
    });
    EXPECT_EQ(listing(made), "b\nc\na\n");
    EXPECT_EQ(content("b"), "first");
    EXPECT_EQ(content("a"), "second");
    EXPECT_NE(std::string::npos,
              run_or_throw({.argv = {"tar", "-tvf", tar().native()}}, "listing").find("c link to b"));
}

TEST_F(ContainerImage, OfAnIndexLinuxOnAmd64IsTaken)
{
    Json arm = manifest(Json::array({layer({{"arm"}})}), "arm64");
    Json amd = manifest(Json::array({layer({{"amd"}})}));
    arm["platform"] = {{"os", "linux"}, {"architecture", "arm64"}};
    amd["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
    const auto index = [&](const Json& manifests) {
        return digest_in(blob("application/vnd.oci.image.index.v1+json",
                              canonical_json({{"schemaVersion", 2}, {"manifests", manifests}})));
    };
    EXPECT_EQ(listing(index(Json::array({arm, amd}))), "amd\n");
    fs::remove_all(folder_.path() / "out");
    expect_refused(index(Json::array({arm})), "nothing for linux/amd64", ErrorKind::not_found);
    expect_refused(digest_in(arm), "not for linux/amd64", ErrorKind::not_found);
}

TEST_F(ContainerImage, Attack08_WaysThroughTheLinksOfLowerLayers)
{
    expect_refused(image({{{"a", '2', "", "/etc"}}, {{"a/passwd"}}}),
                   "layer 2 of the image: its member \"a/passwd\": it is below \"a\"");
    // The upper layer knows of the folder by a whiteout in it.
    expect_refused(image({{{"a", '2', "", "/etc"}}, {{"a/.wh.x"}, {"a/passwd"}}}), "it is below \"a\"");
    expect_refused(image({{{"a"}}, {{"a/b"}}}), "it is below \"a\"");
    expect_refused(image({{{"../evil"}}}), "its name holds \"..\"");
    expect_refused(image({{{"shadow", '2', "", "/etc/shadow"}}, {{"h", '1', "", "shadow"}}}), "not an earlier file");
    expect_refused(image({{{"sda", '4'}}}), "it is a device");
}

TEST_F(ContainerImage, Attack08_WhiteoutsOfNothing)
{
    for (const std::string name : {".wh.", ".wh..", ".wh...", ".wh..wh.x"}) {
        expect_refused(image({{{name}}}), "a whiteout of nothing");
    }
    expect_refused(image({{{".wh.a/", '5'}}}), "a whiteout is a file");
    expect_refused(image({{{".wh.a/b"}}}), "below a whiteout");
    expect_refused(image({{{".wh.a"}, {"b", '1', "", ".wh.a"}}}), "a hard link to a whiteout");
}

TEST_F(ContainerImage, Attack09_BlobsAreWhatTheirDescriptorsSay)
{
    Json descriptor = layer({{"a", '0', "content"}});
    descriptor["size"] = 512;
    expect_refused(digest_in(manifest(Json::array({descriptor}))), "its descriptor says 512");
    descriptor["size"] = -1;
    expect_refused(digest_in(manifest(Json::array({descriptor}))), "a negative size");
    const Digest made = image({{{"a", '0', "content"}}});
    write_file_durably(blobs() / digest_of(tar_of({{"a", '0', "content"}})).hex(), tar_of({{"a", '0', "changed"}}));
    expect_refused(made, "has the digest");
    expect_refused(digest_in(manifest(Json::array())), "0 layers");
    expect_refused(digest_in(manifest(Json::array({blob("text/html", "x")}))), "which Kiln does not know");
}

} // namespace
} // namespace kiln::builder
