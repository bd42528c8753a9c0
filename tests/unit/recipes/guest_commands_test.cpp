// SPDX-License-Identifier: Apache-2.0
// The commands of `file`, `service` and `unit` tests and of derived tests, run by /bin/sh: silent when all is well,
// else they say what is not. dpkg-query reads a database of the test; systemctl and findmnt are scripts that print
// what the real ones do.
#include "recipe_fixture.h"

#include "core/files.h"
#include "core/process.h"
#include "recipes/guest_checks.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <filesystem>

namespace kiln::recipes::test
{
namespace
{

namespace fs = std::filesystem;

class GuestCommands : public testing::Test
{
protected:
    // "STATUS OUTPUT" of the command; programs of put() come first.
    [[nodiscard]] std::string run(const std::string& command) const
    {
        const ProcessResult result =
            kiln::run({.argv = {"/bin/sh", "-c", command},
                       .environment = {{"PATH", folder_.path().native() + ":/usr/sbin:/usr/bin:/sbin:/bin"},
                                       {"DPKG_ADMINDIR", folder_.path().native()}},
                       .timeout = std::chrono::seconds(20)});
        EXPECT_EQ(result.outcome, ProcessResult::Outcome::exited) << result.describe() << result.errors;
        return std::to_string(result.status) + " " + result.output;
    }
    // A program that prints `output`.
    void put(const std::string& program, const std::string& output) const
    {
        const fs::path file = folder_.path() / program;
        write_file_durably(file, "#!/bin/sh\nexec /bin/cat <<'END'\n" + output + "END\n");
        fs::permissions(file, fs::perms::owner_all);
    }
    // The command of the derived test `name`.
    [[nodiscard]] static std::string derived(std::string_view lines, const std::string& name)
    {
        const Recipe recipe = parse_recipe("derive_tests = true\n" + extended(lines), "x.toml");
        const auto test = std::ranges::find(recipe.tests, name, &recipes::Test::name);
        EXPECT_NE(test, recipe.tests.end()) << name;
        return test == recipe.tests.end() ? "exit 99" : std::get<RunTest>(test->check).command;
    }
    [[nodiscard]] std::string file(const std::string& name) const { return (folder_.path() / name).native(); }

    kiln::test::TemporaryFolder folder_;
};

TEST_F(GuestCommands, LookAtFiles)
{
    const std::string path = file("it's $HOME; \"x\"");
    EXPECT_EQ(run(check_file({.path = path})), "1 " + path + " is missing\n");
    EXPECT_EQ(run(check_file({.path = path, .absent = true})), "0 ");
    write_file_durably(path, "Port 22\n[x]\n");
    fs::permissions(path, fs::perms(0640));
    EXPECT_EQ(run(check_file({.path = path, .absent = true})), "1 " + path + " is there\n");
    EXPECT_EQ(run(check_file({.path = path, .pattern = "^Port [0-9]+$", .mode = 0640})), "0 ");
    EXPECT_EQ(run(check_file({.path = path, .pattern = "-x' y", .mode = 04755, .owner = "nobody", .group = "no'one"})),
              "1 " + path + " has mode 640 instead of 4755\n" + path + " has owner " +
                  run("stat -c %U " + shell_quoted(path) + " | tr -d '\\n'").substr(2) + " instead of nobody\n" + path +
                  " has group " + run("stat -c %G " + shell_quoted(path) + " | tr -d '\\n'").substr(2) +
                  " instead of no'one\nno line of " + path + " matches -x' y\n");
    fs::create_symlink("nowhere", file("link"));
    EXPECT_EQ(run(check_file({.path = file("link")})), "1 " + file("link") + " is missing\n");
    EXPECT_EQ(run(check_file({.path = file("link"), .absent = true})), "1 " + file("link") + " is there\n");
}

// As `systemctl show` prints it; an empty `looked` is a condition that was never looked at.
std::string unit(const std::string& type, const std::string& active, const std::string& file,
                 const std::string& condition = "yes", const std::string& looked = "7654321")
{
    return (type.empty() ? "" : "Type=" + type + "\n") + "ActiveState=" + active + "\nUnitFileState=" + file +
           "\nConditionResult=" + condition + "\nConditionTimestampMonotonic=" + looked + "\n";
}

TEST_F(GuestCommands, LookAtUnits)
{
    const std::string ssh = unit("notify", "active", "enabled");
    put("systemctl", ssh);
    EXPECT_EQ(run(check_units({{.unit = "ssh", .state = "running"}})), "0 ");
    EXPECT_EQ(run(check_units({{.unit = "ssh", .state = "active"}})), "0 ");
    EXPECT_EQ(run(check_units({{.unit = "ssh", .state = "failed"}})), "1 ssh is active and enabled, not failed\n");
    put("systemctl", unit("notify", "active", "disabled"));
    EXPECT_EQ(run(check_units({{.unit = "ssh", .state = "running"}})),
              "1 ssh is active and disabled, not active and enabled\n");
    put("systemctl", unit("", "inactive", "", "no", "0"));
    EXPECT_EQ(run(check_units({{.unit = "sssh", .state = "running"}})),
              "1 sssh is inactive and not installed, not active and enabled\n");
}

TEST_F(GuestCommands, LookAtManyUnitsAtOnce)
{
    const std::string recipe = "[[step]]\nservice = \"a\"\n[[step]]\nservice = \"b\"\n[[step]]\nservice = \"c\"\n"
                               "[[step]]\nservice = \"d.timer\"\nenabled = false\n[[step]]\nservice = \"e\"\n"
                               "enabled = false\nmasked = true\n";
    const std::string command = derived(recipe, "services are in their state");
    const auto print = [this](const std::vector<std::string>& units) {
        std::string all;
        for (const std::string& one : units) {
            all += (all.empty() ? "" : "\n") + one;
        }
        put("systemctl", all);
    };
    print({unit("simple", "active", "enabled"), unit("oneshot", "inactive", "static"),
           unit("simple", "inactive", "enabled", "no"), unit("", "inactive", "disabled"),
           unit("", "inactive", "masked")});
    EXPECT_EQ(run(command), "0 ");
    print({unit("simple", "failed", "enabled"), unit("oneshot", "failed", "enabled"),
           unit("simple", "inactive", "enabled", "no", "0"), unit("", "active", "enabled"),
           unit("", "inactive", "enabled")});
    EXPECT_EQ(run(command), "1 a.service is failed and enabled, not enabled and started\n"
                            "b.service is failed and enabled, not enabled and started\n"
                            "c.service is inactive and enabled, not enabled and started\n"
                            "d.timer is active and enabled, not disabled\n"
                            "e.service is inactive and enabled, not masked\n");
    put("systemctl", ""); // as without systemd
    EXPECT_EQ(run(derived("[[step]]\nservice = \"a\"\n", "services are in their state")),
              "1 a.service is unknown and not installed, not enabled and started\n");
}

TEST_F(GuestCommands, LookAtPackages)
{
    const auto package = [](const std::string& name, const std::string& status, const std::string& version,
                            const std::string& more = "") {
        return "Package: " + name + "\nStatus: " + status + "\nArchitecture: amd64\nVersion: " + version +
               "\nMaintainer: a <a@example.org>\nDescription: a\n" + more + "\n";
    };
    write_file_durably(folder_.path() / "status", package("nginx-light", "install ok installed", "1.22.1-9",
                                                          "Provides: httpd, httpd-cgi (= 1.22.1-9), nginx\n") +
                                                      package("nano", "deinstall ok config-files", "7.2-1") +
                                                      package("g++", "install ok installed", "4:12.2.0-3"));
    const auto look = [this](const std::string& packages) {
        return run(derived("[[step]]\npackages = [" + packages + "]\n", "packages are installed"));
    };
    EXPECT_EQ(look(R"("nginx-light", "g++")"), "0 ");
    EXPECT_EQ(look(R"("g++=4:12.2.0-3", "nginx-light=1.22.1-9")"), "0 ");
    EXPECT_EQ(look(R"("httpd", "httpd-cgi", "nginx")"), "0 ");
    EXPECT_EQ(look(R"("g++=4:12.2.0-2")"), "1 g++ is 4:12.2.0-3, not 4:12.2.0-2\n");
    EXPECT_EQ(look(R"("nano", "nginx-lig", "httpd-c", "curl=1.0-1")"), "1 curl=1.0-1 is not installed\n"
                                                                       "httpd-c is not installed\n"
                                                                       "nano is not installed\n"
                                                                       "nginx-lig is not installed\n");
    EXPECT_EQ(run(derived("[[step]]\npackages = [\"g++\", \"nano\"]\n[[step]]\nremove = [\"nano\"]\n",
                          "packages are installed")),
              "0 ");
}

TEST_F(GuestCommands, LookAtAccounts)
{
    EXPECT_EQ(run(derived("[[step]]\nuser = \"root\"\n", "users exist")).substr(0, 2), "0 ");
    EXPECT_EQ(run(derived("[[step]]\nuser = \"kiln-a\"\n[[step]]\nuser = \"kiln-b\"\n", "users exist")),
              "1 there is no user kiln-a\nthere is no user kiln-b\n");
    EXPECT_EQ(run(derived("[[step]]\ngroup = \"kiln-a\"\n", "groups exist")), "1 there is no group kiln-a\n");
}

TEST_F(GuestCommands, LookAtMounts)
{
    const std::string recipe = "[[storage]]\nsize = \"1GiB\"\nfilesystem = \"xfs\"\nmount = \"/srv\"\n"
                               "[[storage]]\nsize = \"1GiB\"\nfilesystem = \"ext4\"\nmount = \"/later\"\n"
                               "options = [\"noauto\"]\n";
    const std::string command = derived(recipe, "file systems are mounted");
    EXPECT_EQ(command.find("/later"), std::string::npos);
    write_file_durably(folder_.path() / "findmnt",
                       "#!/bin/sh\nfor last; do :; done\ncase $last in\n/) echo 'ext4 1020000000' ;;\n"
                       "/srv) printf 'autofs 0\\nxfs 1000000000\\n' ;;\nesac\n");
    fs::permissions(folder_.path() / "findmnt", fs::perms::owner_all);
    EXPECT_EQ(run(command), "0 ");
    put("findmnt", "btrfs 1020000000\n");
    EXPECT_EQ(run(command), "1 / is btrfs, not ext4\n/srv is btrfs, not xfs\n");
    put("findmnt", "ext4 1000\n");
    EXPECT_EQ(run(derived("", "file systems are mounted")).substr(0, 22), "1 / has 1000 bytes, no");
    put("findmnt", "");
    EXPECT_EQ(run(command), "1 / is not mounted\n/srv is not mounted\n");
}

TEST_F(GuestCommands, LookAtTheSystem)
{
    put("uname", "x86_64\n");
    EXPECT_EQ(run(derived("", "architecture and settings")), "0 ");
    put("uname", "aarch64\n");
    put("cat", "other\n");
    put("readlink", "/usr/share/zoneinfo/Etc/UTC\n");
    EXPECT_EQ(run(derived("[[step]]\nhostname = \"kiln-web\"\n[[step]]\ntimezone = \"Antarctica/Vostok\"\n",
                          "architecture and settings")),
              "1 the architecture is aarch64, not x86_64\nthe hostname is other, not kiln-web\n"
              "the time zone is /usr/share/zoneinfo/Etc/UTC, not Antarctica/Vostok\n");
}

} // namespace
} // namespace kiln::recipes::test
