// SPDX-License-Identifier: Apache-2.0
#include "builder/system_files.h"

#include <gtest/gtest.h>

namespace kiln::builder
{
namespace
{

TEST(Hosts, HaveTheNameOnce)
{
    EXPECT_EQ(with_own_name("127.0.0.1 localhost\n127.0.1.1\told\n::1 localhost", "web"),
              "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 web\n");
    EXPECT_EQ(with_own_name("", "web.example.org"), "127.0.1.1 web.example.org web\n");
    EXPECT_EQ(with_own_name("127.0.1.10 other\n", "web"), "127.0.1.10 other\n127.0.1.1 web\n");
}

TEST(Units, AreServicesUnlessTheySayOtherwise)
{
    EXPECT_EQ(unit_name("ssh"), "ssh.service");
    EXPECT_EQ(unit_name("ssh.service"), "ssh.service");
    EXPECT_EQ(unit_name("apt-daily.timer"), "apt-daily.timer");
    EXPECT_EQ(unit_name("getty@ttyS0"), "getty@ttyS0.service");
    EXPECT_EQ(unit_name("org.example.thing"), "org.example.thing.service");
}

TEST(Locales, AreFoundByTheirWholeName)
{
    constexpr std::string_view supported = "de_DE ISO-8859-1\nde_DE.UTF-8 UTF-8\nde_DE@euro ISO-8859-15\n";
    EXPECT_EQ(supported_locale(supported, "de_DE.UTF-8"), "de_DE.UTF-8 UTF-8");
    EXPECT_EQ(supported_locale(supported, "de_DE"), "de_DE ISO-8859-1");
    EXPECT_EQ(supported_locale(supported, "de_D"), "");
}

TEST(Lines, AreAddedOnce)
{
    EXPECT_EQ(with_line("# a\nb", "a"), "# a\nb\na\n");
    EXPECT_EQ(with_line("a\nb\n", "a"), "a\nb\n");
    EXPECT_EQ(with_line("a\nb", "b"), "a\nb");
    EXPECT_EQ(with_line("", "a"), "a\n");
}

TEST(Certificates, AreTakenApart)
{
    const std::string one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const std::string two = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n";
    EXPECT_EQ(certificates_of("Subject: x\n" + one + "\n" + two), (std::vector<std::string>{one, two}));
    EXPECT_TRUE(certificates_of("-----BEGIN CERTIFICATE-----\nAAAA\n").empty());
    EXPECT_TRUE(certificates_of("").empty());
}

} // namespace
} // namespace kiln::builder
