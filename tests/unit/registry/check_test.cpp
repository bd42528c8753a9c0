// SPDX-License-Identifier: Apache-2.0
// What a check finds, and what a repair makes of it.
#include "registry/upkeep/check.h"

#include "core/file_descriptor.h"
#include "registry/bundle_transfer.h"
#include "tests/unit/registry/region_fixture.h"

#include <fcntl.h>
#include <set>
#include <sys/stat.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Transfer silent{.transferred = [](ByteSize, ByteSize) {}};

class CheckTest : public test::RegionTest
{
protected:
    Image image =
        region.publish(test::manifest_to_publish("web", {1, 0, 0}), {{"/dev/vda", layer(std::string(5000, '.'))}}, key,
                       {{std::string(bundle::sbom_artifact_type), "{}"}});
    const std::string title = "web 1.0.0 (" + image.id + ")";
    const Digest disk = region.load_manifest(image).block_devices[0].layers[0].digest;
    const fs::path file = region.layout().blob_path(disk);

    CheckReport check(bool repair = false, std::vector<BlobSource> sources = {})
    {
        return region.check({.trust = trust, .repair = repair, .sources = std::move(sources)});
    }
    // As a disk does that lost a page; the file keeps its size.
    void tear(const fs::path& blob) const
    {
        std::string bytes = read_file(blob);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        overwrite(blob, bytes);
    }
    std::vector<fs::path> quarantined() const
    {
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(folder / "quarantine")) {
            files.push_back(entry.path());
        }
        return files;
    }
    bool verifies() const { return decide(region, image, trust, test::owner).passed(); }
    fs::path exported() const
    {
        const fs::path bundle = temporary.path() / "web.ami";
        const FileDescriptor fd(::open(bundle.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        export_image(region, verify(region, image, trust, test::owner), fd.get(), silent);
        return bundle;
    }
    Image import_into(Region& target, const fs::path& bundle) const
    {
        const FileDescriptor fd(::open(bundle.c_str(), O_RDONLY | O_CLOEXEC));
        return target.import_image(fd.get(), trust, {.account = test::owner, .key = key}, silent);
    }
};

TEST_F(CheckTest, OfAWholeRegionFindsNothing)
{
    const CheckReport report = check();
    EXPECT_THAT(report.damages, IsEmpty());
    EXPECT_TRUE(report.whole());
    EXPECT_EQ(1U, report.images);
    EXPECT_EQ(blobs().size(), report.blobs);
    EXPECT_EQ(1, report.events);
    EXPECT_EQ(0U, report.garbage);
    EXPECT_THAT(report.unverified, IsEmpty());
}

TEST_F(CheckTest, Attack25_ATornBlobIsFoundSetAsideAndHealedByAnotherRegion)
{
    const fs::path elsewhere = temporary.path() / "regions" / "eu-west";
    Region other(elsewhere, "eu-west");
    import_into(other, exported());
    tear(file);
    const CheckReport found = check();
    ASSERT_EQ(1U, found.damages.size());
    EXPECT_EQ("blob", found.damages[0].kind);
    EXPECT_EQ(disk.to_string(), found.damages[0].subject);
    EXPECT_THAT(found.damages[0].images, ElementsAre(title));
    EXPECT_FALSE(found.whole());
    EXPECT_FALSE(verifies());
    EXPECT_FALSE(fs::exists(folder / "quarantine")); // it only looked

    const std::string torn = read_file(file);
    const CheckReport repaired = check(true, {blobs_of("region eu-west", elsewhere)});
    EXPECT_TRUE(repaired.whole());
    EXPECT_THAT(repaired.damages[0].repair, HasSubstr("restored from region eu-west"));
    ASSERT_EQ(1U, quarantined().size());
    EXPECT_EQ(torn, read_file(quarantined()[0])); // set aside, not deleted
    EXPECT_TRUE(verifies());
    struct stat status {
    };
    ASSERT_EQ(0, ::stat(file.c_str(), &status));
    EXPECT_EQ(0444U, status.st_mode & 07777U);
    EXPECT_EQ(1U, status.st_nlink); // a copy: the other region's damage would be this one's
    EXPECT_THAT(check().damages, IsEmpty());
    EXPECT_EQ("repair", region.audit_log(trust).back().action);
}

TEST_F(CheckTest, Attack25_TheSameBundleBringsBackWhatIsLost)
{
    const fs::path bundle = exported();
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { import_into(region, bundle); }).kind());
    tear(file);
    const CheckReport repaired = check(true);
    EXPECT_FALSE(repaired.whole());
    EXPECT_THAT(repaired.damages[0].repair, HasSubstr("no other region has it"));
    EXPECT_FALSE(fs::exists(file));
    EXPECT_EQ("missing-blob", check().damages.at(0).kind);
    EXPECT_EQ(image.id, import_into(region, bundle).id);
    EXPECT_TRUE(verifies());
    EXPECT_THAT(check().damages, IsEmpty());
    EXPECT_EQ(1U, region.history(image, trust).size()); // it was registered all the time
}

TEST_F(CheckTest, Attack25_EveryBlobIsLookedAt)
{
    for (const fs::path& blob : blobs()) {
        const std::string whole = read_file(blob);
        overwrite(blob, whole + "x");
        const CheckReport report = check();
        ASSERT_FALSE(report.damages.empty()) << blob;
        EXPECT_EQ("sha256:" + blob.filename().native(), report.damages[0].subject);
        fs::remove(blob);
        EXPECT_FALSE(check().whole()) << blob;
        overwrite(blob, whole);
    }
    EXPECT_TRUE(check().whole());
}

TEST_F(CheckTest, Attack25_ASourceIsNotBelieved)
{
    tear(file);
    int asked = 0;
    const auto liar = [&](const Digest&, const fs::path& to) {
        ++asked;
        std::ofstream(to) << "something else";
        return true;
    };
    const auto broken = [&](const Digest&, const fs::path&) -> bool {
        ++asked;
        throw Error(ErrorKind::network, "no route");
    };
    const CheckReport report = check(true, {{"the liar", liar}, {"the broken one", broken}});
    EXPECT_EQ(2, asked);
    EXPECT_FALSE(report.whole());
    EXPECT_THAT(report.damages[0].repair, HasSubstr("the liar has a damaged one, too; the broken one: no route"));
    EXPECT_FALSE(fs::exists(file));
    EXPECT_TRUE(fs::is_empty(folder / "staging"));
}

TEST_F(CheckTest, AManifestThatComesBackTellsWhatElseIsMissing)
{
    const fs::path elsewhere = temporary.path() / "regions" / "eu-west";
    Region other(elsewhere, "eu-west");
    import_into(other, exported());
    for (const fs::path& blob : blobs()) {
        fs::remove(blob);
    }
    EXPECT_FALSE(check().whole());
    const CheckReport repaired = check(true, {blobs_of("region eu-west", elsewhere)});
    EXPECT_TRUE(repaired.whole());
    EXPECT_TRUE(verifies());
    EXPECT_THAT(check().damages, IsEmpty());
}

TEST_F(CheckTest, AnIndexIsMadeAnewFromTheCatalogue)
{
    region.publish_component({"nginx", {1, 0, 0}, test::owner, "name = \"nginx\"\n"}, key);
    const Json before = index();
    const auto same_entries = [&] {
        const auto digests = [](const Json& json) {
            std::set<std::string> all;
            for (const Json& entry : json["manifests"]) {
                all.insert(entry["digest"].get<std::string>() + entry["artifactType"].get<std::string>());
            }
            return all;
        };
        return digests(before) == digests(index());
    };
    overwrite(folder / "index.json", R"({"schemaVersion": 2, "manif)");
    EXPECT_EQ("index", check().damages.at(0).kind);
    EXPECT_TRUE(check(true).whole());
    EXPECT_TRUE(same_entries());
    EXPECT_EQ(1U, quarantined().size());
    EXPECT_TRUE(verifies());
    EXPECT_EQ("name = \"nginx\"\n", region.component_text(region.components().at(0), trust));
    EXPECT_EQ(Json::object(), region.attachment(image, bundle::sbom_artifact_type, trust));

    Json less = before;
    less["manifests"].erase(0);
    set_index(less);
    EXPECT_FALSE(check().whole());
    EXPECT_TRUE(check(true).whole());
    EXPECT_TRUE(same_entries());
    fs::remove(folder / "index.json");
    EXPECT_TRUE(check(true).whole());
    EXPECT_TRUE(same_entries());
    EXPECT_THAT(check().damages, IsEmpty());
}

TEST_F(CheckTest, TheLayoutsFileIsMadeAnew)
{
    EXPECT_THAT(check_layout_file(folder, false), IsEmpty());
    overwrite(folder / "oci-layout", "{}");
    EXPECT_FALSE(check_layout_file(folder, false).at(0).healed);
    EXPECT_TRUE(check_layout_file(folder, true).at(0).healed);
    EXPECT_NO_THROW(Region(folder, "local"));
}

TEST_F(CheckTest, ARowThatNoEventExplainsIsFound)
{
    sql("UPDATE images SET launch_public = 1");
    const CheckReport report = check(true);
    ASSERT_EQ(1U, report.damages.size());
    EXPECT_EQ("events", report.damages[0].kind);
    EXPECT_THAT(report.damages[0].images, ElementsAre(title));
    EXPECT_FALSE(report.whole()); // nobody can tell what it was
    sql("DELETE FROM images");
    EXPECT_EQ("catalogue", check().damages.at(0).kind);
    EXPECT_EQ(image.id, check().damages.at(0).subject);
}

TEST_F(CheckTest, WhatNothingNeedsIsNoDamageUnlessItIsTorn)
{
    const Digest orphan = region.layout().put_file(layer("lost"), bundle::disk_layer_type).digest;
    EXPECT_TRUE(check().whole());
    EXPECT_EQ(1U, check().garbage);
    tear(region.layout().blob_path(orphan));
    std::ofstream(folder / "blobs" / "sha256" / "notes.txt") << "mine";
    EXPECT_EQ(2U, check().damages.size());
    EXPECT_TRUE(check(true).whole());
    EXPECT_EQ(2U, quarantined().size());
    EXPECT_THAT(check().damages, IsEmpty());
}

TEST_F(CheckTest, EventsOfAccountsThatAreNotTrustedAreOnlyClaims)
{
    const signing::TrustStore nobody(temporary.path() / "empty");
    const CheckReport report = region.check({.trust = nobody});
    EXPECT_TRUE(report.whole());
    EXPECT_THAT(report.unverified, ElementsAre(test::owner));
}

} // namespace
} // namespace kiln::registry
