// SPDX-License-Identifier: Apache-2.0
#include "builder/found_system.h"

#include <gmock/gmock.h>

namespace kiln::builder
{
namespace
{

const std::string uuid = "0a1b2c3d-0000-1111-2222-333344445555";

std::vector<std::string> names_in(const std::string& crypttab)
{
    std::vector<std::string> names;
    for (const KeptKey& key : kept_keys(crypttab)) {
        names.push_back(key.name);
    }
    return names;
}

TEST(FoundSystem, KnowsTheKeysThatKilnKeeps)
{
    const std::string line = "vdb_crypt UUID=" + uuid + " /etc/cryptsetup-keys.d/vdb_crypt.key luks,discard";
    const auto keys = kept_keys("# a comment\n" + line + "\n");
    ASSERT_EQ(keys.size(), 1U);
    EXPECT_EQ(keys[0].name, "vdb_crypt");
    EXPECT_EQ(keys[0].uuid, uuid);
    EXPECT_EQ(keys[0].key_file, "/etc/cryptsetup-keys.d/vdb_crypt.key");
    EXPECT_THAT(names_in(line), testing::ElementsAre("vdb_crypt")); // without a newline
    EXPECT_THAT(names_in("\n\n"), testing::IsEmpty());
}

// They become words of a command in the appliance.
TEST(FoundSystem, LeavesOutWhatAGuestMadeUp)
{
    const std::string head = "vdb_crypt UUID=" + uuid;
    const std::string key = " /etc/cryptsetup-keys.d/vdb_crypt.key";
    for (const std::string& line : {
             head + " none luks", // somebody types it
             head + " /etc/cryptsetup-keys.d/vdc_crypt.key luks",
             head + " /etc/cryptsetup-keys.d/../vdb_crypt.key luks",
             head + key + ";reboot luks",
             head + key + " swap",
             head + key + " luks discard",
             "vdb_crypt /dev/vdb" + key + " luks",
             "$(reboot)_crypt UUID=" + uuid + " /etc/cryptsetup-keys.d/$(reboot)_crypt.key luks",
             head + key + " luks," + std::string(4 << 20, 'x'),
         }) {
        EXPECT_THAT(names_in(line + "\n"), testing::IsEmpty()) << line.substr(0, 200);
    }
}

} // namespace
} // namespace kiln::builder
