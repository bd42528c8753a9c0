// SPDX-License-Identifier: Apache-2.0
#include "builder/software.h"

#include "core/error.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

TEST(DpkgStatus, ListsInstalledPackagesSorted)
{
    const auto packages =
        parse_dpkg_status("Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n"
                          "Version: 1:1.2.13.dfsg-1\nDescription: compression\n Version: 9 (a continuation)\n"
                          "\n"
                          "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
                          "\n"
                          "Package: adduser\nStatus: hold ok installed\nArchitecture: all\nVersion: 3.134\n");
    ASSERT_EQ(packages.size(), 2U);
    EXPECT_EQ(packages[0].name, "adduser");
    EXPECT_EQ(packages[1].name, "zlib1g");
    EXPECT_EQ(packages[1].version, "1:1.2.13.dfsg-1");
    EXPECT_EQ(packages[1].architecture, "amd64");
}

TEST(DpkgStatus, HostileTextIsHarmless)
{
    EXPECT_TRUE(parse_dpkg_status("").empty());
    EXPECT_TRUE(parse_dpkg_status("\n\n\n: \nx").empty());
    const auto packages = parse_dpkg_status("Package: \x1b[2J\xff\nStatus: install ok installed\nVersion: 1\n");
    ASSERT_EQ(packages.size(), 1U);
    EXPECT_EQ(packages[0].name, "\\x1b[2J\\xff");
}

TEST(OsRelease, ReadsQuotedAndPlainValues)
{
    const OperatingSystem os =
        parse_os_release("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\nID=debian\n");
    EXPECT_EQ(os.distribution, "debian");
    EXPECT_EQ(os.version, "12");
    EXPECT_EQ(os.name, "Debian GNU/Linux 12 (bookworm)");
    EXPECT_THROW(static_cast<void>(parse_os_release("NAME=x\n")), Error);
}

} // namespace
} // namespace kiln::builder
