// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/user_data.h"
#include "tests/unit/launcher/fixtures.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using namespace std::string_literals;

std::string read_from(const fs::path& seed, const std::string& name)
{
    return run_or_throw({.argv = {"mcopy", "-i", seed.native(), "::" + name, "-"}}, "reading the seed");
}

TEST(UserData, IsLimitedAsOnEc2)
{
    EXPECT_NO_THROW(require_user_data(std::string(16384, 'x')));
    try {
        require_user_data(std::string(16385, 'x'));
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        EXPECT_STREQ(error.what(), "the user data has 16385 bytes; an instance takes up to 16 KiB");
    }
}

TEST(UserData, TheGuestLearnsItsNameAndKey)
{
    Instance instance = small_instance(InstancePaths(paths_in("/home/kiln"), "i-0123456789abcdef0"));
    EXPECT_EQ(seed_metadata(instance, "ssh-ed25519 AAAA x\n"),
              R"({"instance-id":"i-0123456789abcdef0","local-hostname":"web","public-keys":["ssh-ed25519 AAAA x"]})"
              "\n");
    instance.name.reset();
    EXPECT_EQ(parse_json(seed_metadata(instance, ""), "it")["local-hostname"], "i-0123456789abcdef0");
}

TEST(UserData, TheSeedHoldsBothFiles)
{
    const test::TemporaryFolder folder;
    const fs::path seed = folder.path() / "seed.img";
    const std::string user_data = "#!/bin/sh\0\x1f\x8b any bytes"s;
    make_seed(seed, user_data, "{}\n", {});
    EXPECT_EQ(read_from(seed, "user-data"), user_data);
    EXPECT_EQ(read_from(seed, "meta-data"), "{}\n");
    struct stat status {
    };
    ASSERT_EQ(0, ::stat(seed.c_str(), &status));
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_NE(run_or_throw({.argv = {"mlabel", "-s", "-i", seed.native()}}, "reading the label").find("CIDATA"),
              std::string::npos);
}

} // namespace
} // namespace kiln::launcher
