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
    sql("PRAGMA user_version = 2");
    const Error error = opening();
    EXPECT_EQ(ErrorKind::io, error.kind());
    EXPECT_EQ(file().native() + " was made by a newer Kiln (version 2); this one knows up to 1", error.message());
    EXPECT_EQ("install a newer Kiln to use this region", error.hint());
}

TEST_F(CatalogueTest, AnotherProgramsDatabaseIsRefused)
{
    sql("PRAGMA application_id = 1");
    EXPECT_THAT(opening().message(), HasSubstr("is not a catalogue of Kiln"));
}

TEST_F(CatalogueTest, ALostCatalogueIsNotReplacedByAnEmptyOne)
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
    for (const char* change : {"name = '../x'", "owner = 'me'", "manifest = 'sha256:x'", "patch = -1",
                               "stored_size = -1", "recipe = 'x'", "id = 'ami-1'", "major = 4294967296"}) {
        fs::copy_file(file(), temporary.path() / "backup", fs::copy_options::overwrite_existing);
        sql(std::string("UPDATE images SET ") + change);
        EXPECT_EQ(ErrorKind::io, error_of([&] { static_cast<void>(region.images()); }).kind()) << change;
        fs::copy_file(temporary.path() / "backup", file(), fs::copy_options::overwrite_existing);
    }
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
