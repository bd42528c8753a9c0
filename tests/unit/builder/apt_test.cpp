// SPDX-License-Identifier: Apache-2.0
// Hostile and real text of apt: sources, its output, and what is made of them.
#include "builder/apt_failure.h"
#include "builder/apt_installer.h"
#include "builder/apt_sources.h"

#include <gmock/gmock.h>

namespace kiln::builder
{
namespace
{

using testing::ElementsAre;
using testing::HasSubstr;

AptSources lines(std::string_view text)
{
    AptSources read;
    read_sources_list(text, "sources.list", "amd64", read);
    return read;
}

TEST(AptSources, TakesSignedArchivesOverHttpOnly)
{
    const AptSources read = lines("deb http://deb.debian.org/debian bookworm main contrib # comment\n"
                                  "deb-src http://deb.debian.org/debian bookworm main\n"
                                  "deb file:/etc ./\n"
                                  "deb cdrom:[Debian]/ bookworm main\n"
                                  "deb [arch=i386] http://a.example x main\n"
                                  "exec rm -rf /\n");
    ASSERT_EQ(1U, read.sources.size());
    EXPECT_THAT(read.sources[0].components, ElementsAre("main", "contrib"));
    EXPECT_EQ(3U, read.ignored.size());
    EXPECT_THAT(read.ignored[0], HasSubstr("sources.list:3: file:/etc is not an archive over HTTP"));
}

TEST(AptSources, DoesNotHonourTrusted)
{
    const AptSources read =
        lines("deb [trusted=yes signed-by=/usr/share/keyrings/a.gpg] https://a.example stable main\n");
    ASSERT_EQ(1U, read.sources.size());
    EXPECT_THAT(to_deb822(read.sources[0]), testing::Not(HasSubstr("rusted")));
    EXPECT_THAT(read.sources[0].signed_by, ElementsAre("/usr/share/keyrings/a.gpg"));
    EXPECT_THAT(read.ignored, ElementsAre(HasSubstr("\"trusted\" is not honoured")));
}

TEST(AptSources, ReadsDeb822)
{
    AptSources read;
    read_deb822_sources("# one\nTypes: deb deb-src\nURIs: http://a.example/debian file:///etc\nSuites: x y\n"
                        "Components: main\nAllow-Insecure: yes\n\nTypes: deb\nEnabled: no\nURIs: http://b\nSuites: z\n"
                        "Components: main\n",
                        "a.sources", "amd64", read);
    ASSERT_EQ(1U, read.sources.size());
    EXPECT_EQ("Types: deb\nURIs: http://a.example/debian\nSuites: x y\nComponents: main\n\n",
              to_deb822(read.sources[0]));
    EXPECT_EQ(2U, read.ignored.size());
}

constexpr std::string_view simulation = "Reading package lists...\nRemv nano [7.2-1]\n"
                                        "Inst libc6 [2.36-9] (2.36-10 Debian:12.1/stable [amd64])\n"
                                        "Inst nginx (1:1.22.1-9+deb12u11 Debian-Security:12/x [amd64])\n"
                                        "Conf libc6 (2.36-10 Debian:12.1/stable [amd64])\n"
                                        "Conf nginx (1:1.22.1-9+deb12u11 Debian-Security:12/x [amd64])\n";

std::string uri_line(std::string_view file)
{
    return "'http://a.example/" + std::string(file) + "' " + std::string(file) + " 12 SHA256:" + std::string(64, 'a') +
           "\n";
}

AptTransaction transaction()
{
    return {parse_simulation(simulation),
            parse_print_uris(uri_line("nginx_1%3a1.22.1-9+deb12u11_amd64.deb") + uri_line("libc6_2.36-10_amd64.deb"))};
}

TEST(AptOutput, IsReplayedInAptsOrder)
{
    const std::string script = dpkg_script(transaction(), {"nginx"});
    EXPECT_THAT(script, HasSubstr("run_dpkg --no-triggers --force-depends --remove nano\n"
                                  "run_dpkg --no-triggers --unpack --auto-deconfigure 1.deb 0.deb\n"
                                  "run_dpkg --no-triggers --configure libc6 nginx\n"
                                  "run_dpkg --configure --pending\n"));
    EXPECT_THAT(script, HasSubstr("echo 'nginx hold' | dpkg --set-selections\n"));
}

TEST(AptOutput, MakesTheFirstInitramfsWhenAllIsConfigured)
{
    const std::string script = dpkg_script(transaction(), {});
    const std::size_t off = script.find("export INITRD=No");
    const std::size_t configured = script.find("--configure --pending");
    const std::size_t made = script.find("/etc/kernel/postinst.d");
    EXPECT_LT(off, script.find("--unpack"));
    EXPECT_LT(configured, made);
    ASSERT_NE(made, script.npos);
    EXPECT_EQ(dpkg_script({}, {"nginx"}).find("postinst.d"), script.npos);
}

TEST(AptOutput, RejectsWhatAptDoesNotWrite)
{
    EXPECT_THROW(static_cast<void>(parse_simulation("Inst $(reboot) (1 x [all])\n")), Error);
    EXPECT_THROW(static_cast<void>(parse_simulation("Inst a;b (1 x [all])\n")), Error);
    EXPECT_THROW(static_cast<void>(parse_print_uris(uri_line("../../etc/passwd_1_all.deb"))), Error);
    EXPECT_THROW(static_cast<void>(parse_print_uris("'http://a/b' b_1_all.deb 12 MD5Sum:00\n")), Error);
    EXPECT_THROW(static_cast<void>(download_for({.package = "a", .version = "1"}, {})), Error);
}

TEST(AptInstaller, AsksForVersionsAndRemovals)
{
    recipes::PackagesStep step;
    step.add = {"nginx", "curl=7"};
    step.remove = {"nano"};
    EXPECT_THAT(apt_arguments(step), ElementsAre("nginx", "curl=7", "nano-"));
    step.add = {"--option"};
    EXPECT_THROW(static_cast<void>(apt_arguments(step)), Error);
    step.add = {"nginx=1 2"};
    EXPECT_THROW(static_cast<void>(apt_arguments(step)), Error);
}

TEST(AptInstaller, MarksDependenciesOnly)
{
    EXPECT_EQ("Package: old\nArchitecture: amd64\nAuto-Installed: 1\n\n",
              mark_automatic("Package: nginx\nArchitecture: amd64\nAuto-Installed: 1\n\n"
                             "Package: old\nArchitecture: amd64\nAuto-Installed: 1\n",
                             transaction(), {"nginx"}, "amd64"));
    EXPECT_THAT(mark_automatic("", transaction(), {}, "amd64"), HasSubstr("Package: nginx\n"));
}

TEST(AptFailure, TellsUnsignedAndMissingVersionsApart)
{
    const AptSubject subject{.archive = "the archive", .mirror = "", .network_hint = "", .package_hint = ""};
    const Error version = explain_apt_failure("E: Version '9' for 'nginx' was not found\n", subject);
    EXPECT_STREQ("the archive has no nginx=9", version.what());
    EXPECT_EQ(ErrorKind::package, explain_apt_failure("E: The repository 'x' is not signed.\n", subject).kind());
    EXPECT_EQ(ErrorKind::network, explain_apt_failure("Could not resolve 'x'\n", subject).kind());
    EXPECT_EQ(ErrorKind::no_space, explain_dpkg_failure("No space left on device\n").kind());
}

} // namespace
} // namespace kiln::builder
