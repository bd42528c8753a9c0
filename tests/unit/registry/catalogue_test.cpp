// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;
using ::testing::HasSubstr;

class CatalogueTest : public test::RegionTest
{
protected:
    Error opening() const
    {
        return error_of([&] { const Region again(folder, "local"); });
    }
    fs::path file() const { return folder / "catalogue.sqlite"; }
};

TEST_F(CatalogueTest, ANewerVersionIsRefused)
{
    sql("PRAGMA user_version = 4");
    const Error error = opening();
    EXPECT_EQ(ErrorKind::io, error.kind());
    EXPECT_EQ(file().native() + " was made by a newer Kiln (version 4); this one knows up to 3", error.message());
    EXPECT_EQ("install a newer Kiln to use this region", error.hint());
}

TEST_F(CatalogueTest, AnotherProgramsDatabaseIsRefused)
{
    sql("PRAGMA application_id = 1");
    EXPECT_THAT(opening().message(), HasSubstr("is not a catalogue of Kiln"));
}

TEST_F(CatalogueTest, Attack28_ALostCatalogueIsNotReplacedByAnEmptyOne)
{
    publish("web", {1, 0, 0});
    fs::rename(file(), temporary.path() / "backup");
    EXPECT_THAT(opening().message(), HasSubstr("has lost its catalogue"));
    EXPECT_FALSE(fs::exists(file()));
    overwrite(file(), "");
    EXPECT_THAT(opening().message(), HasSubstr("is not a catalogue of Kiln"));
    overwrite(file(), std::string(8192, 'x'));
    EXPECT_EQ(ErrorKind::io, opening().kind());
    fs::rename(temporary.path() / "backup", file());
    EXPECT_EQ("no error", opening().message());
    EXPECT_EQ(1U, Region(folder, "local").images().size());
}

TEST_F(CatalogueTest, DamagedEntriesAreRefused)
{
    publish("web", {1, 0, 0});
    for (const char* change :
         {"name = '../x'", "owner = 'me'", "manifest = 'sha256:x'", "patch = -1", "stored_size = -1", "recipe = 'x'",
          "id = 'ami-1'", "major = 4294967296", "holder = 'me'", "launch_accounts = '1'",
          "launch_accounts = '222222222222 111111111111'", "launch_accounts = '111111111111 '",
          "deprecated_at = 'soon'", "launch_organizations = 'B'", "launch_organizations = 'b a'", "last_event = -1"}) {
        fs::copy_file(file(), temporary.path() / "backup", fs::copy_options::overwrite_existing);
        sql(std::string("UPDATE images SET ") + change);
        EXPECT_EQ(ErrorKind::io, error_of([&] { static_cast<void>(region.images()); }).kind()) << change;
        fs::copy_file(temporary.path() / "backup", file(), fs::copy_options::overwrite_existing);
    }
}

TEST_F(CatalogueTest, OneOfVersion2IsMigratedAndFindsTagsInTheManifests)
{
    publish("web", {1, 0, 0});
    sql("ALTER TABLE images DROP COLUMN launch_organizations; DROP TABLE facts; PRAGMA user_version = 2");
    for (int time = 0; time < 2; ++time) {
        const Region again(folder, "local");
        EXPECT_EQ(1U, again.images({.filters = {parse_image_filter("tag:team=web")}}).size());
        EXPECT_EQ(1U, again.images({.filters = {parse_image_filter("source=recipe")}}).size());
        EXPECT_TRUE(again.images({.filters = {parse_image_filter("tag:team=bank")}}).empty());
        EXPECT_EQ("verified", verdict(again.resolve("web")).message());
    }
}

TEST_F(CatalogueTest, AnOlderOneIsMigratedInPlace)
{
    bundle::Manifest manifest = test::manifest_to_publish("shared", {2, 0, 0});
    manifest.launch.accounts = {"222222222222"};
    const Image shared = region.publish(manifest, {{"/dev/vda", layer("disk")}}, key);
    const Image image = publish("web", {1, 0, 0});
    sql(R"(
        ALTER TABLE images RENAME TO newer;
        CREATE TABLE images (
            id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, major INTEGER NOT NULL, minor INTEGER NOT NULL,
            patch INTEGER NOT NULL, architecture TEXT NOT NULL, description TEXT NOT NULL, owner TEXT NOT NULL,
            manifest TEXT NOT NULL, created TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('available', 'deprecated', 'disabled')),
            launch_public INTEGER NOT NULL CHECK (launch_public IN (0, 1)), virtual_size INTEGER NOT NULL,
            stored_size INTEGER NOT NULL, recipe TEXT, UNIQUE (name, major, minor, patch, architecture)) STRICT;
        INSERT INTO images SELECT id, name, major, minor, patch, architecture, description, owner, manifest, created,
            state, launch_public, virtual_size, stored_size, recipe FROM newer;
        DROP TABLE newer; DROP TABLE events; DROP TABLE channels; DROP TABLE facts;
        PRAGMA user_version = 1;)");
    for (int time = 0; time < 2; ++time) {
        Region again(folder, "local", temporary.path() / "new-home.seen");
        EXPECT_EQ(2U, again.images().size());
        const Image row = again.resolve("web");
        EXPECT_EQ(image.id, row.id);
        EXPECT_EQ(image.manifest, row.manifest);
        EXPECT_EQ(image.recipe, row.recipe);
        EXPECT_EQ(0, again.resolve("shared").last_event);
        EXPECT_NO_THROW(static_cast<void>(verify(again, row, trust, test::owner)));
        EXPECT_NO_THROW(static_cast<void>(verify(again, shared, trust, "222222222222")));
        EXPECT_TRUE(again.history(shared, trust).empty());
    }
    Region again(folder, "local", temporary.path() / "new-home.seen");
    const Signer signer{.account = test::owner, .key = key};
    EXPECT_EQ((std::vector<std::string>{"111111111111", "222222222222"}),
              again.change(shared, share_with({.accounts = {"111111111111"}}), signer, trust).image.launch_accounts);
    EXPECT_EQ(1U, again.history(shared, trust).size());
    EXPECT_NO_THROW(static_cast<void>(verify(again, shared, trust, "222222222222")));
}

TEST_F(CatalogueTest, ARegionThatWasMadeHalfwayIsFinished)
{
    const fs::path half = temporary.path() / "half";
    {
        const Region whole(half, "half");
    }
    fs::remove(half / "oci-layout"); // the last file that a new region gets
    EXPECT_TRUE(Region(half, "half").images().empty());
    EXPECT_TRUE(fs::exists(half / "oci-layout"));
}

TEST_F(CatalogueTest, ANameIsOnlyEverAValue)
{
    publish("web", {1, 0, 0});
    EXPECT_FALSE(region.find("web' OR '1'='1", {1, 0, 0}, "x86_64"));
    EXPECT_FALSE(region.find("web", {1, 0, 0}, "x86_64'--"));
    EXPECT_TRUE(region.find("web", {1, 0, 0}, "x86_64"));
}

} // namespace
} // namespace kiln::registry
