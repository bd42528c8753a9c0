// SPDX-License-Identifier: Apache-2.0
// What a recipe with every key becomes, and that its digest follows each value and nothing else.
#include "every_key.h"

#include "tests/support/golden.h"

namespace kiln::recipes::test
{
namespace
{

TEST_F(EveryKey, BecomesTheGoldenJson)
{
    const Recipe recipe = parse();
    kiln::test::expect_golden("recipes/every-key.json", to_json(recipe).dump(2) + "\n");
    EXPECT_EQ(recipe.digest, digest_of(canonical_json(to_json(recipe))));
}

TEST_F(EveryKey, ReadsBytesOfASourceAsTheyAre)
{
    EXPECT_EQ(std::get<FileStep>(parse().steps.at(1).action).content, logo);
}

TEST_F(EveryKey, StepsKnowTheirPlace)
{
    const std::string recipe = text();
    const auto line_of = [&](std::string_view text_of_line) {
        return 1U + std::count(recipe.begin(), recipe.begin() + static_cast<std::ptrdiff_t>(recipe.find(text_of_line)),
                               '\n');
    };
    const Recipe parsed = parse(recipe);
    EXPECT_EQ(parsed.steps.at(0).position.line, line_of("file = \"/etc/motd\"") - 1);
    EXPECT_EQ(parsed.steps.at(0).position.column, 1U);
    EXPECT_EQ(parsed.steps.at(1).position.line, line_of("file = \"/usr/local/share/logo\"") - 1);
}

TEST_F(EveryKey, DigestStaysWithAnotherLayoutOrderNameAndPlace)
{
    const Recipe recipe = parse();
    std::string other = text();
    const std::string head = "name = \"every-key_1.0\"\n";
    other.erase(other.find(head), head.size());
    other.insert(other.find("packages"), "# moved\n  name   =   'every-key_1.0'  # here\n\n");
    other = replaced(replaced(other, "\"2h\"", "\"120min\""), "\"4 GiB\"", "\"4096MiB\"");
    EXPECT_EQ(parse(other, "elsewhere.toml").digest, recipe.digest);
    EXPECT_EQ(parse(replaced(text(), "\n", "\r\n")).digest, recipe.digest);
    EXPECT_EQ(parse("\xef\xbb\xbf" + text()).digest, recipe.digest);
}

TEST_F(EveryKey, DigestStaysWhenContentMovesIntoAFile)
{
    write("motd", "hello\n\tport 8080\n");
    EXPECT_EQ(parse(replaced(text(), R"(content = "hello\n\tport {{ listen_port }}\n")", R"(source = "motd")")).digest,
              parse().digest);
}

TEST_F(EveryKey, DigestStaysWhenASecretComesFromElsewhere)
{
    EXPECT_EQ(parse(replaced(text(), "DATABASE_PASSWORD", "OTHER")).digest, parse().digest);
    EXPECT_EQ(parse(replaced(text(), "private/token", "other/token")).digest, parse().digest);
}

TEST_F(EveryKey, DigestFollowsTheContentOfFiles)
{
    const Recipe before = parse();
    for (const auto& [name, content] : std::vector<std::pair<std::string, std::string>>{
             {"files/logo", "another"},
             {"files/app/main", "#!/bin/bash\n"},
             {"files/setup.sh", "#!/bin/sh\nfalse\n"},
             {"files/example.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"},
             {"components/web-server.toml", "name = \"web-server\"\nversion = \"1.2.0\"\n"
                                            "[parameters.workers]\ntype = \"integer\"\n"}}) {
        SetUp();
        write(name, content);
        EXPECT_NE(parse().digest, before.digest) << name;
    }
}

// A change each; an empty replacement takes the default.
TEST_F(EveryKey, DigestFollowsEveryValue)
{
    const Recipe recipe = parse();
    const std::vector<std::pair<std::string, std::string>> changes = {
        {"every-key_1.0", "every-key_1.1"},
        {"10.20.30", "10.20.31"},
        {"Alles", "alles"},
        {"\"g++\", ", ""},
        {"derive_tests = true", "derive_tests = false"},
        {"default = 8080", "default = 8443"},
        {"suite = \"bookworm\"", "suite = \"trixie\""},
        {"mirror = \"https://deb.example.org/debian\"", ""},
        {"components = [\"main\", \"contrib\"]", ""},
        {"variant = \"apt\"", ""},
        {"firmware = \"uefi\"", ""},
        {"kernel_command_line = \"quiet\"", ""},
        {"serial_console = false", ""},
        {"4 GiB", "5 GiB"},
        {"type = \"io2\"", ""},
        {"delete_on_termination = false", ""},
        {"name = \"swap\"", "name = \"swap-1\""},
        {"512MiB", "513MiB"},
        {"filesystem = \"ext4\"", "filesystem = \"btrfs\""},
        {"label = \"root\"", ""},
        {"encrypted = true", ""},
        {"filesystem = \"xfs\"", "filesystem = \"ext4\""},
        {"/var/lib/postgresql", "/var/lib/mysql"},
        {"options = [\"noatime\"]", ""},
        {"label = \"postgres\"", ""},
        {"volume_group = \"data\"", "volume_group = \"group\""},
        {"name = \"mail\"", "name = \"post\""},
        {"3GiB", "4GiB"},
        {"filesystem = \"btrfs\"", "filesystem = \"ext4\""},
        {"/var/mail", "/srv/mail"},
        {"compress=zstd", "compress=lzo"},
        {"label = \"mail\"", ""},
        {"file = \"/etc/motd\"", "file = \"/etc/issue\""},
        {"hello\\n", "hallo\\n"},
        {"4750", "0750"},
        {"owner = \"www-data\"", ""},
        {"Debian-exim", "root"},
        {"template = true", ""},
        {"tree = \"/opt/app\"", "tree = \"/opt/other\""},
        {"owner = \"games\"", ""},
        {"group = \"games\"", ""},
        {"archive = \"/opt/tool\"", "archive = \"/opt/other\""},
        {"strip = 1", ""},
        {"owner = \"backup\"", ""},
        {"group = \"backup\"", ""},
        {"set -u", "set -x"},
        {"LANG = ", "LC_ALL = "},
        {"WORKERS = 4", "WORKERS = 5"},
        {"folder = \"/srv\"", ""},
        {"[\"database-password\", \"token\"]", "[\"token\", \"database-password\"]"},
        {"status = [0, 9]", ""},
        {"network = true", ""},
        {"\"2h\"", "\"3h\""},
        {"curl=7.88.1-10+deb12u8", "curl"},
        {"remove = [\"nano\"]", ""},
        {"hold = [\"less\"]", ""},
        {"apt_source = \"example\"", "apt_source = \"other\""},
        {"https://apt.example.org/debian", "https://apt.example.org/other"},
        {"bookworm-pgdg", "bookworm"},
        {"components = [\"main\", \"extra\"]", ""},
        {"user = \"admin\"", "user = \"other\""},
        {"uid = 1234", ""},
        {"comment = \"Ada Lovelace\"", ""},
        {"home = \"/srv/admin\"", ""},
        {"groups = [\"adm\", ", "groups = ["},
        {"shell = \"/bin/sh\"", ""},
        {"shell = \"/bin/sh\"\nsystem = true", "shell = \"/bin/sh\""},
        {"sudo = true", ""},
        {"$6$saltsalt$q", "$6$saltsalt$r"},
        {"me@example.org", "you@example.org"},
        {"group = \"developers\"", "group = \"others\""},
        {"gid = 4321\nsystem = true", "gid = 4321"},
        {"gid = 4321", ""},
        {"members = [\"admin\"]", ""},
        {"getty@tty2", "getty@tty3"},
        {"enabled = false", ""},
        {"Restart=always", "Restart=no"},
        {"enabled = false\nmasked = true", "enabled = false"},
        {"hostname = \"web\"", "hostname = \"mail\""},
        {"Europe/Berlin", "Europe/Paris"},
        {"de_DE.UTF-8", "fr_FR.UTF-8"},
        {"vm.swappiness", "vm.dirty_ratio"},
        {"\" = 10", "\" = 11"},
        {"br_netfilter", "overlay"},
        {"floppy", "pcspkr"},
        {"certificate_authority = \"example-root\"", "certificate_authority = \"root\""},
        {"workers = 6", "workers = 7"},
        {"nginx -t", "true"},
        {"public = true", ""},
        {"accounts = [\"123456789012\"]", ""},
        {"instance_type = \"t3.small\"", ""},
        {"minimum_memory = \"1GiB\"", ""},
        {"team = \"web\"", "team = \"mail\""},
        {"deprecated_on = \"2027-11-23\"", ""},
        {"warm = true", ""},
        {"keep = [\"/var/log/app/*\"]", ""},
        {"\"boots\"", "\"starts\""},
        {"systemctl is-system-running", "true"},
        {"status = 3", ""},
        {"output = \"degraded\"", ""},
        {"90s", "91s"},
        {"login: $", "login:"},
        {"5min", "6min"},
        {"port = 8088", "port = 8089"},
        {"http = \"/health\"", "http = \"/\""},
        {"port = \"{{ listen_port }}\"", ""},
        {"status = 204", ""},
        {"body = \"fine\"", ""},
        {"file = \"/etc/motd\"\ncontent = \"^hello\"", "file = \"/etc/issue\"\ncontent = \"^hello\""},
        {"content = \"^hello\"", ""},
        {"mode = \"0755\"", ""},
        {"owner = \"www-data\"\ngroup = \"mail\"", "group = \"mail\""},
        {"group = \"mail\"", ""},
        {"/etc/nologin", "/etc/other"},
        {"absent = true", ""},
        {"service = \"ssh\"", "service = \"cron\""},
        {"fstrim.timer", "other.timer"},
        {"state = \"inactive\"", "state = \"failed\""},
    };
    for (const auto& [from, to] : changes) {
        std::string other = text();
        ASSERT_NE(other.find(from), other.npos) << from;
        other.replace(other.find(from), from.size(), to);
        ASSERT_EQ(what_of(other, folder_.path() / "x.toml"), "no error") << from;
        EXPECT_NE(parse(other).digest, recipe.digest) << from;
    }
}

} // namespace
} // namespace kiln::recipes::test
