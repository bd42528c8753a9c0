// SPDX-License-Identifier: Apache-2.0
// The kinds of steps, [boot], [launch] and [seal]; what is wrong with each, and hostile folders.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <ctime>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

namespace kiln::recipes::test
{
namespace
{

namespace fs = std::filesystem;

class StepFiles : public testing::Test
{
protected:
    void write(const std::string& name, std::string_view bytes) const
    {
        make_directories((folder_.path() / name).parent_path());
        write_file_durably(folder_.path() / name, bytes);
    }
    [[nodiscard]] Recipe parse(const std::string& lines) const
    {
        return parse_recipe(extended("[[step]]\n" + lines), folder_.path() / "x.toml");
    }
    [[nodiscard]] std::string say(const std::string& lines) const
    {
        return summary_of(extended("[[step]]\n" + lines), folder_.path() / "x.toml");
    }
    void expect(const std::string& lines, const std::string& part) const
    {
        const std::string said = say(lines);
        EXPECT_NE(said.find(part), said.npos) << lines << said;
    }

    kiln::test::TemporaryFolder folder_;
};

using Attack43Trees = StepFiles;

TEST_F(StepFiles, ATreeIsWalkedInOrder)
{
    write("app/b/c.txt", "c");
    write("app/a-b", "ab");
    write("app/run", "#!/bin/sh\n");
    fs::permissions(folder_.path() / "app/run", fs::perms::owner_all);
    fs::create_symlink("../run", folder_.path() / "app/b/link");
    fs::create_symlink("/usr/share", folder_.path() / "app/share");
    const Recipe recipe = parse("tree = \"/opt/app\"\nsource = \"app\"\ngroup = \"adm\"\n");
    const auto& tree = std::get<TreeStep>(recipe.steps.at(0).action);
    EXPECT_EQ(recipe.steps.at(0).file, folder_.path() / "x.toml");
    std::vector<std::string> paths;
    for (const auto& entry : tree.entries) {
        paths.push_back(entry.path);
    }
    EXPECT_EQ(paths, (std::vector<std::string>{"", "a-b", "b", "b/c.txt", "b/link", "run", "share"}));
    EXPECT_EQ(tree.group, "adm");
    EXPECT_EQ(tree.entries[3].digest, digest_of("c"));
    EXPECT_EQ(tree.entries[3].mode, 0644U);
    EXPECT_EQ(tree.entries[4].target, "../run");
    EXPECT_EQ(tree.entries[5].mode, 0755U);
    ASSERT_EQ(recipe.inputs.size(), 3U);
    EXPECT_EQ(recipe.inputs[0].name, "app/a-b");
}

TEST_F(Attack43Trees, TreesThatLeaveOrHoldOddThingsAreRefused)
{
    const std::string tree = "tree = \"/opt/app\"\nsource = \"app\"\n";
    make_directories(folder_.path() / "app/sub");
    for (const std::string target : {"../..", "../../etc/passwd", "x/../../../y"}) {
        fs::create_symlink(target, folder_.path() / "app/sub/link");
        expect(tree, "leads out of the tree");
        fs::remove(folder_.path() / "app/sub/link");
    }
    ASSERT_EQ(::mkfifo((folder_.path() / "app/pipe").c_str(), 0600), 0);
    expect(tree, "is no regular file, folder or symbolic link");
    fs::remove(folder_.path() / "app/pipe");
    for (const std::string name : {"a\nb", "a\x1b[2J", "a\xff", "a\xe2\x80\xae"}) {
        write("app/" + name, "");
        expect(tree, "has a control or invisible character");
        fs::remove(folder_.path() / "app" / name);
    }
    EXPECT_EQ(say(tree), "");
    fs::create_directory_symlink("/etc", folder_.path() / "out");
    expect("tree = \"/opt/app\"\nsource = \"out\"\n", "leads out of the recipe's folder");
    expect("tree = \"/opt/../app\"\nsource = \"app\"\n", "is not an absolute, normalized path");
    expect("tree = \"/opt\"\nsource = \"absent\"\n", "can't be read");
}

TEST_F(StepFiles, FilesAndArchivesHaveTheirDigest)
{
    write("a.tar", "tar");
    const std::string good = digest_of("tar").hex();
    const std::string bad = digest_of("x").hex();
    const std::string archive = "archive = \"/opt\"\nsource = \"a.tar\"\nstrip = 2\nsha256 = \"";
    EXPECT_EQ(std::get<ArchiveStep>(parse(archive + good + "\"\n").steps.at(0).action).strip, 2);
    expect(archive + bad + "\"\n", "is " + bad + ", but \"a.tar\" has " + good);
    expect("archive = \"/opt\"\nsource = \"a.tar\"\n", "step[0].sha256: is missing | the digest of \"a.tar\" is now");
    const std::string file = "file = \"/a\"\nsource = \"a.tar\"\nsha256 = \"";
    EXPECT_EQ(say(file + good + "\"\n"), "");
    expect(file + bad + "\"\n", "is " + bad + ", but the source has " + good);
    expect("file = \"/a\"\ncontent = \"\"\nsha256 = \"" + good + "\"\n", "is for a source");
}

TEST_F(StepFiles, RunsTakeAScriptAndItsSurroundings)
{
    write("s.sh", "#!/bin/sh\ntrue\n");
    const Recipe recipe = parse("script = \"s.sh\"\nenvironment = { A = \"b\", N = 4 }\nfolder = \"/opt\"\n"
                                "secrets = [\"key\"]\nstatus = [0, 3]\n[[step]]\nrun = \"true\"\nstatus = 7\n"
                                "[[secret]]\nname = \"key\"\nfile = \"key\"\n");
    const auto& run = std::get<RunStep>(recipe.steps.at(0).action);
    EXPECT_EQ(run.script, "#!/bin/sh\ntrue\n");
    EXPECT_EQ(run.environment, (std::map<std::string, std::string>{{"A", "b"}, {"N", "4"}}));
    EXPECT_EQ(run.folder, "/opt");
    EXPECT_EQ(run.secrets, (std::vector<std::string>{"key"}));
    EXPECT_EQ(run.statuses, (std::vector<int>{0, 3}));
    EXPECT_EQ(std::get<RunStep>(recipe.steps.at(1).action).statuses, (std::vector<int>{7}));
    expect("run = \"a\"\nscript = \"s.sh\"\n", "is run and script at once");
    expect("run = \"a\"\nstatus = []\n", "step[0].status: is empty");
    expect("run = \"a\"\nstatus = [0, 256]\n", "step[0].status[1]: 256 is out of range");
    expect("run = \"a\"\nenvironment = { \"A=B\" = \"\" }\n", "is not the name of an environment variable");
    expect("run = \"a\"\nsecrets = [\"../x\"]\n", "is not a secret's name");
    write("dos.sh", "true\r\n");
    expect("script = \"dos.sh\"\n", "the file holds a control character");
    write("binary", "\x7f\xff");
    expect("script = \"binary\"\n", "the file holds");
}

TEST_F(StepFiles, PackagesAndSources)
{
    write("k.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n");
    write("secret.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n");
    const auto packages =
        std::get<PackagesStep>(parse("packages = [\"nginx\", \"curl=7.88.1-10\"]\n").steps.at(0).action);
    EXPECT_EQ(packages.add, (std::vector<std::string>{"nginx", "curl=7.88.1-10"}));
    EXPECT_EQ(say("remove = [\"nano\"]\nhold = [\"curl\"]\n"), "");
    expect("packages = []\n", "step[0].packages: is empty");
    expect("packages = [\"a1=\"]\n", "has no version");
    expect("packages = [\"a1=1;x\"]\n", "has no version");
    expect("packages = [\"a1=1\", \"a1\"]\n", "is named twice");
    expect("packages = [\"a1\"]\nremove = [\"a1\"]\n", "is added by the same step");
    const std::string source = "apt_source = \"x\"\nsuite = \"bookworm\"\nuri = \"https://a.org\"\nkey = ";
    EXPECT_EQ(std::get<AptSourceStep>(parse(source + "\"k.asc\"\n").steps.at(0).action).components,
              (std::vector<std::string>{"main"}));
    expect(source + "\"secret.asc\"\n", "the file holds a private key");
    expect(source + "\"absent\"\n", "can't be read");
    const std::string login =
        "apt_source = \"x\"\nsuite = \"bookworm\"\nkey = \"k.asc\"\nuri = \"https://u:hunter2@a.org\"\n";
    expect(login, "holds a user name or password");
    EXPECT_EQ(what_of(extended("[[step]]\n" + login), folder_.path() / "x.toml").find("hunter2"), std::string::npos);
}

TEST_F(StepFiles, AccountsNeverHoldAPassword)
{
    const std::string hash = "$6$saltsalt$" + std::string(86, 'a');
    EXPECT_EQ(
        std::get<UserStep>(parse("user = \"u\"\nuid = 1500\npassword_hash = \"" + hash + "\"\n").steps.at(0).action)
            .password_hash,
        hash);
    EXPECT_EQ(say("user = \"u\"\npassword_hash = \"$y$j9T$abc$" + std::string(43, 'a') + "\"\n"), "");
    EXPECT_EQ(say("user = \"u\"\npassword_hash = \"$2b$12$" + std::string(53, 'a') + "\"\n"), "");
    EXPECT_EQ(say("user = \"u\"\npassword_hash = \"$5$rounds=5000$abc$" + std::string(43, 'a') + "\"\n"), "");
    for (const std::string bad : {"hunter2", "", "!", "*", "$1$salt$aaaaaaaaaaaaaaaaaaaaaa", "$6$salt$hunter2"}) {
        const std::string lines = "user = \"u\"\npassword_hash = \"" + bad + "\"\n";
        expect(lines, "step[0].password_hash: is not a hash of crypt(5)");
        EXPECT_EQ(what_of(extended("[[step]]\n" + lines)).find("hunter2"), std::string::npos);
    }
    expect("user = \"u\"\nuid = 65534\n", "is reserved");
    expect("user = \"u\"\nuid = 0\n", "is out of range");
    expect("user = \"u\"\ncomment = \"a:b\"\n", "is not a user's comment");
    expect("user = \"u\"\nhome = \"/a:b\"\n", "holds a colon");
    EXPECT_EQ(std::get<GroupStep>(parse("group = \"g\"\nmembers = [\"u\"]\n").steps.at(0).action).name, "g");
    expect("user = \"u\"\ngroup = \"g\"\n", "step[0].group: unknown key");
    expect("group = \"g\"\n[[step]]\ngroup = \"g\"\n", "is made by an earlier step");
}

TEST_F(StepFiles, OfTheSystem)
{
    write("root.pem", certificate);
    write("two.pem", certificate + certificate);
    write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("key.pem", certificate + "-----BEGIN PRIVATE KEY-----\n");
    const std::string authority = "certificate_authority = \"ca\"\nsource = ";
    EXPECT_EQ(std::get<CertificateAuthorityStep>(parse(authority + "\"root.pem\"\n").steps.at(0).action).pem,
              certificate);
    expect(authority + "\"two.pem\"\n", "more than one certificate");
    expect(authority + "\"broken.pem\"\n", "is not a certificate in PEM");
    expect(authority + "\"key.pem\"\n", "holds a private key");
    EXPECT_EQ(std::get<ServiceStep>(parse("service = \"s\"\nmasked = true\n").steps.at(0).action).state,
              ServiceStep::State::masked);
    expect("service = \"s\"\nmasked = true\nenabled = true\n", "can't be enabled and masked");
    expect("service = \"s\"\ndrop_in = \"Restart=always\"\n", "is not a drop-in");
    const Recipe sysctl = parse("sysctl = { \"vm.swappiness\" = 10, \"kernel.domainname\" = \"x\" }\n");
    EXPECT_EQ(std::get<SysctlStep>(sysctl.steps.at(0).action).values.at("vm.swappiness"), "10");
    expect("sysctl = {}\n", "step[0].sysctl: is empty");
    expect("sysctl = { vm.swappiness = 10 }\n", "a key with dots in it stands in quotes");
    expect("kernel_modules = { load = [\"a\"], block = [\"a\"] }\n", "is to be loaded, too");
    expect("kernel_modules = {}\n", "has neither load nor block");
    for (const std::string bad :
         {"hostname = \"Web\"", "hostname = \"a..b\"", "hostname = \"-a\"", "timezone = \"../x\"",
          "timezone = \"/etc/passwd\"", "locale = \"de_DE\"", "locale = \"de_DE.UTF-8@\"",
          "kernel_modules = { load = [\"-r\"] }", "sysctl = { \"-w\" = 1 }"}) {
        EXPECT_NE(say(bad + "\n"), "") << bad;
    }
}

TEST(Attack42Steps, LongListsAreQuick)
{
    const std::clock_t start = std::clock();
    std::string add;
    std::string remove;
    for (int i = 0; i < 40'000; ++i) {
        add += fmt::format("\"a{}\",", i);
        remove += fmt::format("\"b{}\",", i);
    }
    EXPECT_EQ(what_of(extended("[[step]]\npackages = [" + add + "]\nremove = [" + remove + "]\n")), "no error");
    EXPECT_EQ(what_of(extended("[[step]]\n[step.kernel_modules]\nload = [" + add + "]\nblock = [" + remove + "]\n")),
              "no error");
    EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(SmallTables, AreRead)
{
    const Recipe recipe = parse_recipe(extended(R"([boot]
firmware = "uefi"
serial_console = false
[launch]
public = true
accounts = ["123456789012"]
instance_type = "t3.small"
minimum_memory = "1GiB"
deprecated_on = "2028-02-29"
tags = { team = "web", tier = 1 }
warm = true
[seal]
keep = ["/var/log/app/*"]
)"),
                                       "x.toml");
    EXPECT_EQ(recipe.boot.firmware, "uefi");
    EXPECT_FALSE(recipe.boot.serial_console);
    EXPECT_TRUE(recipe.launch.is_public);
    EXPECT_EQ(recipe.launch.minimum_memory, gibibytes(1));
    EXPECT_EQ(recipe.launch.tags.at("tier"), "1");
    EXPECT_TRUE(recipe.launch.warm);
    EXPECT_EQ(recipe.keep, (std::vector<std::string>{"/var/log/app/*"}));
}

TEST(SmallTables, ARecipeThatSaysNothingOfWarmLaunchesHasTheDigestOfBefore)
{
    const Recipe silent = parse_recipe(extended(""), "x.toml");
    EXPECT_FALSE(to_json(silent).at("launch").contains("warm"));
    EXPECT_EQ(parse_recipe(extended("[launch]\nwarm = false\n"), "x.toml").digest, silent.digest);
    EXPECT_NE(parse_recipe(extended("[launch]\nwarm = true\n"), "x.toml").digest, silent.digest);
    EXPECT_THAT(what_of(extended("[launch]\nwarm = \"yes\"\n")),
                testing::HasSubstr("launch.warm: must be true or false, not a string"));
}

TEST(SmallTables, RefuseWhatIsWrong)
{
    for (const std::string bad : {"[boot]\nfirmware = \"efi\"", "[boot]\nkernel_command_line = \"a\\\"; reboot\"",
                                  "[boot]\nkernel_command_line = \"$(x)\"", "[launch]\naccounts = [\"12345678901\"]",
                                  "[launch]\ninstance_type = \"small\"", "[launch]\ndeprecated_on = \"2027-02-29\"",
                                  "[launch]\ndeprecated_on = 2027-02-28", "[launch]\ntags = { \"aws:x\" = \"1\" }",
                                  "[seal]\nkeep = [\"/*\"]", "[seal]\nkeep = [\"/a/../b\"]", "[launch]\npublik = true",
                                  "[launch]\nwarm = \"yes\"", "[launch]\nwarm = 1"}) {
        EXPECT_EQ(diagnostics_of(extended(bad + "\n")).size(), 1U) << bad << what_of(extended(bad + "\n"));
    }
}

} // namespace
} // namespace kiln::recipes::test
