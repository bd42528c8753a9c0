// SPDX-License-Identifier: Apache-2.0
// What a good recipe becomes: values, defaults, the resolved JSON and its digest.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

namespace kiln::recipes::test
{
namespace
{

constexpr std::string_view every_key = R"(# every key of the language
name = "every-key_1.0"
version = "10.20.30"
description = "Alles, was es gibt: größer"
architecture = "x86_64"
packages = ["nginx-light", "g++", "libstdc++6"]

[base]
bootstrap = "debian"
suite = "bookworm"
mirror = "https://deb.example.org/debian"

[[storage]]
device = "/dev/vda"
size = "4 GiB"
filesystem = "ext4"
delete_on_termination = false

[[step]]
file = "/etc/motd"
content = "hello\n\tworld\n"
mode = "4750"
owner = "www-data"
group = "Debian-exim"

[[step]]
file = "/usr/local/share/logo"
source = "files/logo"

[[step]]
run = """
set -u
apt-get clean
"""
network = true
timeout = "2h"

[[step]]
user = "admin"
groups = ["adm", "www-data"]
shell = "/bin/sh"
sudo = true
ssh_authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@example.org"]

[[step]]
service = "getty@tty2.service"
enabled = false

[[test]]
name = "boots"
run = "systemctl is-system-running"
status = 3
output = "degraded"
timeout = "90s"

[[test]]
console = 'login: $'
timeout = "5min"
)";

class EveryKey : public testing::Test
{
protected:
    void SetUp() override { write_logo(std::string("\x89PNG\0\xff", 6)); }
    void write_logo(std::string_view bytes)
    {
        make_directories(folder_.path() / "files");
        write_file_durably(folder_.path() / "files/logo", bytes);
    }
    [[nodiscard]] Recipe parse(std::string_view text = every_key, const std::string& name = "x.toml") const
    {
        return parse_recipe(text, folder_.path() / name);
    }

    kiln::test::TemporaryFolder folder_;
};

TEST_F(EveryKey, BecomesTheGoldenJson)
{
    const Recipe recipe = parse();
    kiln::test::expect_golden("recipes/every-key.json", to_json(recipe).dump(2) + "\n");
    EXPECT_EQ(recipe.digest, digest_of(canonical_json(to_json(recipe))));
}

TEST_F(EveryKey, ReadsBytesOfASourceAsTheyAre)
{
    EXPECT_EQ(std::get<FileStep>(parse().steps.at(1).action).content, std::string("\x89PNG\0\xff", 6));
}

TEST_F(EveryKey, StepsKnowTheirPlace)
{
    const Recipe recipe = parse();
    EXPECT_EQ(recipe.steps.at(0).position.line, 19U);
    EXPECT_EQ(recipe.steps.at(0).position.column, 1U);
    EXPECT_EQ(recipe.steps.at(1).position.line, 26U);
}

TEST_F(EveryKey, DigestStaysWithAnotherLayoutOrderNameAndPlace)
{
    const Recipe recipe = parse();
    std::string other(every_key);
    const std::string head = "name = \"every-key_1.0\"\n";
    other.erase(other.find(head), head.size());
    other.insert(other.find("packages"), "# moved\n  name   =   'every-key_1.0'  # here\n\n");
    other.replace(other.find("\"2h\""), 4, "\"120min\"");
    other.replace(other.find("\"4 GiB\""), 7, "\"4096MiB\"");
    EXPECT_EQ(parse(other, "elsewhere.toml").digest, recipe.digest);

    std::string dos;
    for (const char c : std::string_view(every_key)) {
        dos += c == '\n' ? "\r\n" : std::string(1, c);
    }
    EXPECT_EQ(parse(dos).digest, recipe.digest);
    EXPECT_EQ(parse("\xef\xbb\xbf" + std::string(every_key)).digest, recipe.digest);
}

TEST_F(EveryKey, DigestStaysWhenContentMovesIntoAFile)
{
    const Recipe recipe = parse();
    write_file_durably(folder_.path() / "motd", "hello\n\tworld\n");
    std::string other(every_key);
    const std::string content = R"(content = "hello\n\tworld\n")";
    other.replace(other.find(content), content.size(), R"(source = "motd")");
    EXPECT_EQ(parse(other).digest, recipe.digest);
}

TEST_F(EveryKey, DigestFollowsTheContentOfASource)
{
    const Recipe before = parse();
    write_logo("another");
    EXPECT_NE(parse().digest, before.digest);
}

TEST_F(EveryKey, DigestFollowsEveryValue)
{
    const Recipe recipe = parse();
    const std::vector<std::pair<std::string, std::string>> changes = {
        {"every-key_1.0", "every-key_1.1"},
        {"10.20.30", "10.20.31"},
        {"Alles", "alles"},
        {"\"g++\", ", ""},
        {"bookworm", "trixie"},
        {"deb.example.org", "example.org"},
        {"4 GiB", "5 GiB"},
        {"delete_on_termination = false", ""},
        {"/etc/motd", "/etc/issue"},
        {"hello", "hallo"},
        {"4750", "0750"},
        {"owner = \"www-data\"", ""},
        {"Debian-exim", "root"},
        {"set -u", "set -x"},
        {"network = true", ""},
        {"\"2h\"", "\"3h\""},
        {"\"admin\"", "\"other\""},
        {"[\"adm\", ", "["},
        {"/bin/sh", "/bin/dash"},
        {"sudo = true", ""},
        {"me@example.org", "you@example.org"},
        {"getty@tty2", "getty@tty3"},
        {"enabled = false", ""},
        {"\"boots\"", "\"starts\""},
        {"systemctl is-system-running", "true"},
        {"status = 3", ""},
        {"output = \"degraded\"", ""},
        {"90s", "91s"},
        {"login: $", "login:"},
        {"5min", "6min"},
    };
    for (const auto& [from, to] : changes) {
        std::string other(every_key);
        ASSERT_NE(other.find(from), other.npos) << from;
        other.replace(other.find(from), from.size(), to);
        EXPECT_NE(parse(other).digest, recipe.digest) << from;
    }
}

TEST(ParseRecipe, FillsInDefaults)
{
    const Recipe recipe = parse_recipe(extended(R"(
[[step]]
file = "/a"
content = ""
[[step]]
run = "true"
[[step]]
user = "u"
[[step]]
service = "s"
[[test]]
run = "true"
[[test]]
console = "login:"
)"),
                                       "x.toml");
    kiln::test::expect_golden("recipes/defaults.json", to_json(recipe).dump(2) + "\n");
}

TEST(ParseRecipe, NamesATestAfterItsText)
{
    const Recipe recipe = parse_recipe(extended(R"(
[[test]]
run = """
set -e
	test -e /etc/hostname"""
[[test]]
run = "echo ääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
)"),
                                       "x.toml");
    EXPECT_EQ(recipe.tests.at(0).name, "run set -e test -e /etc/hostname");
    // 60 bytes at most, and no half of a character.
    EXPECT_EQ(recipe.tests.at(1).name, "run echo ääääääääääääääääääääääää...");
}

TEST(TitleOf, IsOneShortLine)
{
    EXPECT_EQ(title_of({.action = RunStep{.script = "\nset -e\napt-get clean\n"}, .position = {}}),
              "run set -e apt-get clean");
    EXPECT_EQ(title_of({.action = RunStep{.script = std::string(500, 'x')}, .position = {}}),
              "run " + std::string(53, 'x') + "...");
    EXPECT_EQ(title_of({.action = ServiceStep{.name = "ssh"}, .position = {}}), "service ssh");
}

TEST(LoadRecipe, SaysWhenThereIsNoFile)
{
    try {
        (void)load_recipe("/nonexistent/x.toml");
        FAIL() << "it loaded";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
    }
}

TEST(LoadRecipe, ReadsTheFile)
{
    const kiln::test::TemporaryFolder folder;
    write_file_durably(folder.path() / "x.toml", good_recipe);
    const Recipe recipe = load_recipe(folder.path() / "x.toml");
    EXPECT_EQ(recipe.name, "tiny");
    EXPECT_EQ(recipe.root().size, gibibytes(1));
}

} // namespace
} // namespace kiln::recipes::test
