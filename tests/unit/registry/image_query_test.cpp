// SPDX-License-Identifier: Apache-2.0
#include "registry/image_query.h"

#include "tests/unit/registry/region_fixture.h"

#include <thread>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;

class ImageQueryTest : public test::RegionTest
{
protected:
    // The versions that are found, newest first, as "name 1.0.0".
    std::vector<std::string> found(const std::vector<std::string>& filters, bool with_deregistered = false) const
    {
        ImageQuery query{.filters = {}, .with_deregistered = with_deregistered};
        for (const std::string& text : filters) {
            query.filters.push_back(parse_image_filter(text));
        }
        std::vector<std::string> names;
        for (const Image& image : region.images(query)) {
            names.push_back(image.name + " " + image.version.to_string());
        }
        return names;
    }
    using Names = std::vector<std::string>;
};

TEST_F(ImageQueryTest, WildcardsAndValuesAreEc2s)
{
    publish("web-a", {1, 0, 0});
    publish("web-b", {1, 2, 0});
    publish("bank", {1, 0, 0});
    EXPECT_EQ((Names{"web-b 1.2.0", "bank 1.0.0", "web-a 1.0.0"}), found({}));
    EXPECT_EQ((Names{"web-b 1.2.0", "web-a 1.0.0"}), found({"name=web-*"}));
    EXPECT_EQ((Names{"bank 1.0.0", "web-a 1.0.0"}), found({"name=web-a,bank"}));
    EXPECT_EQ((Names{"web-a 1.0.0"}), found({"name=web-?", "version=1.0.*"}));
    EXPECT_EQ(Names{}, found({"name=WEB-*"}));
    EXPECT_EQ(Names{}, found({"name=web"}));
    EXPECT_EQ(Names{}, found({R"(name=web-\*)"}));
    EXPECT_EQ(Names{}, found({"name=[vw]eb-a"})); // a set to SQLite, and not to EC2
    EXPECT_EQ(Names{}, found({"name=x' OR 1 --"}));
    EXPECT_EQ((Names{"web-b 1.2.0", "bank 1.0.0", "web-a 1.0.0"}),
              found({"architecture=x86_64,aarch64", "owner-id=123456789012", "is-public=false", "source=recipe",
                     "os=deb*", "creation-date=2026-11-*", "image-id=ami-*", "description=*nginx"}));
}

TEST_F(ImageQueryTest, TagsAndStates)
{
    bundle::Manifest tagged = test::manifest_to_publish("tagged", {1, 0, 0});
    tagged.tags = {{"a,b", "x"}, {"team", "bank"}};
    region.publish(tagged, {{"/dev/vda", layer("disk")}}, key);
    const Image old = publish("web", {1, 0, 0}); // team=web, stage=candidate
    EXPECT_EQ((Names{"web 1.0.0"}), found({"tag:team=web"}));
    EXPECT_EQ((Names{"tagged 1.0.0", "web 1.0.0"}), found({"tag:team=*"}));
    EXPECT_EQ((Names{"web 1.0.0"}), found({"tag-key=stag?"}));
    EXPECT_EQ((Names{"tagged 1.0.0"}), found({R"(tag-key=a\,b)"}));
    EXPECT_EQ((Names{"tagged 1.0.0"}), found({"tag:a,b=x"}));
    change(old, deprecate_at("2020-01-01T00:00:00Z"));
    EXPECT_EQ((Names{"web 1.0.0"}), found({"state=deprecated"}));
    EXPECT_EQ((Names{"tagged 1.0.0"}), found({"state=available"}));
    change(old, deregister());
    EXPECT_EQ(Names{}, found({"tag:team=web"}));
    EXPECT_EQ((Names{"web 1.0.0"}), found({"tag:team=web"}, true));
}

TEST_F(ImageQueryTest, MalformedFiltersSayWhatIsMeant)
{
    const auto error = [](const std::string& text) {
        return test::error_of([&] { static_cast<void>(parse_image_filter(text)); });
    };
    EXPECT_EQ(ErrorKind::usage, error("name").kind());
    EXPECT_EQ("--filter \"name=\" is not NAME=VALUE", error("name=").message());
    EXPECT_EQ("did you mean name?", error("nane=web").hint());
    EXPECT_THAT(error("tag:=x").hint(), testing::HasSubstr("tag:KEY"));
    ImageQuery many;
    many.filters.assign(51, parse_image_filter("name=a"));
    EXPECT_EQ(ErrorKind::usage, test::error_of([&] { static_cast<void>(region.images(many)); }).kind());
}

TEST_F(ImageQueryTest, AnImageIsNamedByItsDigest)
{
    const Image first = publish("web", {1, 0, 0});
    publish("web", {1, 0, 1});
    EXPECT_EQ(first.id, region.resolve("web@" + first.manifest.to_string()).id);
    EXPECT_EQ(ErrorKind::not_found,
              test::error_of([&] { static_cast<void>(region.resolve("web@" + digest_of("x").to_string())); }).kind());
    EXPECT_EQ(ErrorKind::usage, test::error_of([&] { static_cast<void>(region.resolve("web@sha256:12")); }).kind());
    change(first, deregister());
    EXPECT_EQ(ErrorKind::not_found,
              test::error_of([&] { static_cast<void>(region.resolve("web@" + first.manifest.to_string())); }).kind());
}

TEST_F(ImageQueryTest, TheNextPatchIsBehindAllThatWereTaken)
{
    const auto next = [&](std::uint32_t minor) { return region.next_patch("web", 1, minor, "x86_64").to_string(); };
    EXPECT_EQ("1.4.0", next(4));
    publish("web", {1, 4, 0});
    const Image last = publish("web", {1, 4, 7});
    publish("web", {1, 5, 0});
    EXPECT_EQ("1.4.8", next(4));
    EXPECT_EQ("1.4.0", region.next_patch("web", 1, 4, "aarch64").to_string());
    change(last, deregister());
    EXPECT_EQ("1.4.8", next(4));
}

TEST_F(ImageQueryTest, PublishersAtOnceGetAPatchEach)
{
    publish("web", {1, 4, 3});
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 3; ++thread) {
        const fs::path file = layer("disk " + std::to_string(thread));
        threads.emplace_back([this, file] {
            Region mine(folder, "local");
            mine.publish_next_patch(test::manifest_to_publish("web", {1, 4, 0}), {{"/dev/vda", file}}, key,
                                    [](const SemanticVersion& version) {
                                        return std::vector<Attachment>{{std::string(bundle::sbom_artifact_type),
                                                                        Json{{"of", version.to_string()}}.dump()}};
                                    });
        });
    }
    threads.clear();
    EXPECT_EQ((Names{"web 1.4.6", "web 1.4.5", "web 1.4.4", "web 1.4.3"}), found({"name=web"}));
    EXPECT_EQ("1.4.6", region.attachment(region.resolve("web"), bundle::sbom_artifact_type, trust).at("of"));
    EXPECT_EQ("verified", verdict(region.resolve("web@1.4.5")).message());
}

} // namespace
} // namespace kiln::registry
