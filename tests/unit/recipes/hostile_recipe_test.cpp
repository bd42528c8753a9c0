// SPDX-License-Identifier: Apache-2.0
// Attacks 42 and 43 of docs/threat-model.md on the recipe, and files that it must not read.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

#include <ctime>
#include <sys/stat.h>

namespace kiln::recipes::test
{
namespace
{

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Fails when a test needs more processor time than the sanitizers explain; waiting for others is free.
class Quickly
{
public:
    ~Quickly() { EXPECT_LT(std::clock() - start_, 20 * CLOCKS_PER_SEC); }

private:
    std::clock_t start_ = std::clock();
};

std::string repeated(std::string_view part, std::size_t count)
{
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += part;
    }
    return text;
}

TEST(Attack42, DeepNestingIsOneError)
{
    const Quickly quickly;
    const auto one_error = [](const std::string& text) {
        const auto diagnostics = diagnostics_of(text);
        ASSERT_EQ(diagnostics.size(), 1U) << text.substr(0, 20);
        EXPECT_EQ(diagnostics[0].position.line, 1U);
        EXPECT_NE(diagnostics[0].message.find("nested"), std::string::npos) << diagnostics[0].message;
    };
    for (const std::size_t depth : {10'000U, 300'000U}) {
        one_error("a = " + std::string(depth, '['));
        one_error("a = " + repeated("{a=", depth));
        one_error("a = " + repeated("[{a=", depth / 2));
    }
}

TEST(Attack42, LongDottedKeysAreOneError)
{
    const Quickly quickly;
    for (const std::size_t depth : {17U, 10'000U, 500'000U}) {
        const std::string parts = "a" + repeated(".a", depth - 1);
        for (const std::string& text : {"x=1\n[" + parts + "]\n", "x=1\n" + parts + " = 1\n",
                                        "x=1\n[[" + parts + "]]\n", "x=1\ny = [{" + parts + " = 1}]\n"}) {
            const auto diagnostics = diagnostics_of(text);
            ASSERT_EQ(diagnostics.size(), 1U) << depth;
            EXPECT_EQ(diagnostics[0].message, "a dotted key has more than 16 parts");
            EXPECT_EQ(diagnostics[0].position.line, 2U);
        }
    }
    const std::string quoted = "\"a\"" + repeated(" . 'a'", 100'000) + " = 1";
    EXPECT_EQ(diagnostics_of(quoted).at(0).message, "a dotted key has more than 16 parts");
    for (const std::string value : {R"("""a""""")", "'''a'''''", R"("""a"""")", R"("")", R"("\"")", R"('\')"}) {
        const std::string list = "x = [" + value + ", {a" + repeated(".a", 100'000) + " = 1}]\n";
        EXPECT_EQ(diagnostics_of(list).at(0).message, "a dotted key has more than 16 parts") << value;
    }
    // A string or comment before it can't hide the key, whichever quotes it has.
    for (const std::string prefix : {"x = \"\"\"a\"b\"\"\"\"\"\n", "x = '''a'b'''''\n", "x = \"\\\"\"\n", "x = '\\'\n",
                                     "# \"\"\"\n", "x = \"#\"\n"}) {
        const auto diagnostics = diagnostics_of(prefix + "a" + repeated(".a", 100'000) + " = 1");
        EXPECT_EQ(diagnostics.at(0).message, "a dotted key has more than 16 parts") << prefix;
    }
}

TEST(Attack42, DotsInStringsAndCommentsAreNoKeys)
{
    const std::string dots = repeated(".x", 100);
    EXPECT_EQ(what_of(extended("# " + dots + "\n[[step]]\nrun = \"\"\"\n\"" + dots + "\" \\\"\n" + dots +
                               "\"\"\"\n[[step]]\nrun = '''\n'" + dots + "'''''\n[[step]]\nrun = '" + dots +
                               "'\n[[step]]\nrun = \"\\\"" + dots + "\"\n")),
              "no error");
}

TEST(Attack42, TheDeepestAllowedNestingIsAnOrdinaryError)
{
    const Quickly quickly;
    const std::string key = "a" + repeated(".a", 14);
    const std::string deep =
        "[" + key + "]\n" + key + " = " + repeated("{" + key + " = ", 250) + "1" + std::string(250, '}') + "\n";
    EXPECT_EQ(diagnostics_of(deep).size(), 6U) << what_of(deep);
}

TEST(Attack42, LargeRecipesAreRefusedBeforeTheyAreRead)
{
    const Quickly quickly;
    const kiln::test::TemporaryFolder folder;
    const fs::path file = folder.path() / "x.toml";
    write_file_durably(file, "");
    fs::resize_file(file, std::uintmax_t{1} << 30U);
    try {
        (void)load_recipe(file);
        FAIL() << "it loaded";
    } catch (const RecipeError& error) {
        EXPECT_EQ(error.what(), file.string() +
                                    ":1:1: a recipe has at most 1 MiB\n"
                                    "      = keep large files beside it and name them with `source`\n\n"
                                    "1 error in " +
                                    file.string());
    }
    EXPECT_EQ(diagnostics_of(std::string((std::size_t{1} << 20U) + 1, '\n')).at(0).message,
              "a recipe has at most 1 MiB");
    EXPECT_NE(diagnostics_of(std::string(std::size_t{1} << 20U, '\n')).at(0).message, "a recipe has at most 1 MiB");
    try {
        (void)load_recipe("/dev/zero");
        FAIL() << "it loaded";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::io);
    }
}

TEST(Attack42, AMebibyteOfErrorsIsQuick)
{
    const Quickly quickly;
    std::string text;
    for (int i = 0; text.size() < (1U << 20U) - 20; ++i) {
        text += std::to_string(i) + "=1\n";
    }
    EXPECT_EQ(diagnostics_of(text).size(), 1006U);
    EXPECT_THAT(what_of(text), HasSubstr(":1:1: more than 1000 keys are unknown\n"));
    EXPECT_EQ(diagnostics_of(repeated("[[step]]\n", 100'000)).size(), 6U);
    EXPECT_EQ(diagnostics_of(repeated("[[step]]\n", 10'000)).size(), 10'005U);
    EXPECT_THAT(what_of(extended(repeated("[[step]]\n", 10'001))),
                HasSubstr("step: there are more than 10000 steps\n"));
    EXPECT_EQ(diagnostics_of(std::string(1'000'000, 'k') + " = 1").size(), 6U);
    EXPECT_LT(what_of(std::string(1'000'000, 'k') + " = 1").size(), 2000U);
    EXPECT_LT(what_of(changed("\"tiny\"", '"' + std::string(1'000'000, 'k') + '"')).size(), 1000U);
}

TEST(Attack42, DuplicateKeysHaveAPlace)
{
    EXPECT_EQ(summary_of(changed("version", "name = \"other\"\nversion")),
              "2:8 : not valid TOML: Error while parsing key-value pair: cannot redefine existing string 'name' | \n");
    EXPECT_EQ(diagnostics_of(extended("[base]\n")).at(0).position.line, 12U);
}

TEST(Attack42, InvalidUtf8IsASyntaxError)
{
    EXPECT_EQ(diagnostics_of("name = \"\xff\xfe\"").size(), 1U);
    EXPECT_EQ(diagnostics_of(std::string("name = \"\0\"", 10)).size(), 1U);
    EXPECT_EQ(diagnostics_of(std::string("\0\0\0\0", 4)).size(), 1U);
}

TEST(Attack42, WrongTypesAreNamed)
{
    const std::vector<std::pair<std::string, std::string>> values = {
        {"7", "an integer"},
        {"1.5", "a floating point number"},
        {"true", "true or false"},
        {"2026-11-23", "a date or time"},
        {"07:32:00", "a date or time"},
        {"[]", "a list"},
        {"{}", "a table"},
    };
    for (const auto& [value, name] : values) {
        EXPECT_EQ(summary_of(changed("\"tiny\"", value)),
                  "1:8 name: must be a string, not " + name + " | write it like \"debian-12\"\n");
    }
    EXPECT_EQ(summary_of(extended("[[step]]\nservice = \"a\"\nenabled = 1\n")),
              "14:11 step[0].enabled: must be true or false, not an integer | write it like true\n");
    EXPECT_EQ(summary_of(extended("[[test]]\nrun = \"a\"\nstatus = \"1\"\n")),
              "14:10 test[0].status: must be an integer, not a string | write it like 0\n");
    EXPECT_EQ(summary_of(extended("[step]\nrun = \"a\"\n")),
              "12:1 step: must be a list of tables, not a table | write [[step]] for each one\n");
    EXPECT_EQ(summary_of("step = [1]\n" + good_recipe),
              "1:9 step[0]: must be a table, not an integer | write [[step]] for each one\n");
    EXPECT_EQ(summary_of("packages = \"less\"\n" + good_recipe),
              "1:12 packages: must be a list, not a string | write it like [\"openssh-server\"]\n");
    EXPECT_EQ(summary_of("base = 1\n" + changed("[base]\nbootstrap = \"debian\"\nsuite = \"bookworm\"\n", "")),
              "1:8 base: must be a table, not an integer | write [base]\n");
    EXPECT_EQ(summary_of("storage = []\n" + changed("[[storage]]\nsize = \"1GiB\"\nfilesystem = \"ext4\"\n", "")),
              "1:11 storage: is missing | add a [[storage]] table\n");
}

TEST(Attack43, HiddenCharactersAreRefusedInEveryString)
{
    // Written as TOML escapes, so that they reach the rules.
    for (const std::string hidden :
         {"\\u0000", "\\u001b[2J", "\\u0007", "\\r", "\\u007f", "\\u0085", "\\u009b", "\\u202e", "\\u2066", "\\u200b",
          "\\u2028", "\\ufeff", "\\u00ad", "\\u061c", "\\u180e", "\\u2069", "\\u2064"}) {
        const std::string value = "\"a" + hidden + "b\"";
        const std::vector<std::string> texts = {
            changed("\"tiny\"", value),
            changed("\"1.0.0\"", value),
            "description = " + value + "\n" + good_recipe,
            "packages = [" + value + "]\n" + good_recipe,
            changed("\"bookworm\"", value),
            changed("\"ext4\"", value),
            extended("[[step]]\nfile = \"/etc/motd\"\ncontent = " + value + "\n"),
            extended("[[step]]\nfile = \"/etc/motd\"\nsource = " + value + "\n"),
            extended("[[step]]\nfile = \"/etc/motd\"\ncontent = \"\"\nowner = " + value + "\n"),
            extended("[[step]]\nrun = " + value + "\n"),
            extended("[[step]]\nuser = " + value + "\n"),
            extended("[[step]]\nuser = \"u\"\nssh_authorized_keys = [" + value + "]\n"),
            extended("[[step]]\nservice = " + value + "\n"),
            extended("[[test]]\nrun = " + value + "\n"),
            extended("[[test]]\nrun = \"a\"\noutput = " + value + "\n"),
            extended("[[test]]\nrun = \"a\"\nname = " + value + "\n"),
            extended("[[test]]\nconsole = " + value + "\n"),
        };
        for (const std::string& text : texts) {
            const auto diagnostics = diagnostics_of(text);
            ASSERT_EQ(diagnostics.size(), 1U) << text;
            EXPECT_NE(diagnostics[0].message.find("character"), std::string::npos) << diagnostics[0].message;
            EXPECT_EQ(what_of(text).find_first_of(std::string("\0\x07\x1b\x7f\r", 5)), std::string::npos);
        }
    }
}

TEST(Attack43, NewlinesAreForTextsOfManyLinesOnly)
{
    EXPECT_EQ(what_of(extended("[[step]]\nrun = \"a\\n\\tb\"\n[[step]]\nfile = \"/a\"\ncontent = \"a\\n\\tb\"\n")),
              "no error");
    EXPECT_EQ(summary_of(changed("\"tiny\"", "\"ti\\nny\"")),
              "1:8 name: \"ti ny\" holds a control character | remove it; not even a newline or a tab may be in it\n");
    EXPECT_EQ(
        diagnostics_of(extended("[[step]]\nuser = \"u\"\nssh_authorized_keys = [\"ssh-rsa AAAA\\nssh-rsa BBBB\"]\n"))
            .at(0)
            .path,
        "step[0].ssh_authorized_keys[0]");
}

TEST(Attack43, ScriptsAndDescriptionsMayBeInAnyLanguage)
{
    EXPECT_EQ(what_of("description = \"größer 測試 🚀 👩\\u200d💻 می\\u200cخواهم\"\n" +
                      extended("[[step]]\nrun = \"echo 測試🚀\"\n")),
              "no error");
}

class Sources : public testing::Test
{
protected:
    void SetUp() override
    {
        make_directories(recipes_ / "files");
        write_file_durably(recipes_ / "files/motd", "hello\n");
        write_file_durably(folder_.path() / "secret", "secret\n");
    }
    // What is said of `source`, without the position.
    [[nodiscard]] std::string say(const std::string& source) const
    {
        const auto diagnostics =
            diagnostics_of(extended("[[step]]\nfile = \"/a\"\nsource = \"" + source + "\"\n"), recipes_ / "x.toml");
        return diagnostics.empty() ? "no error" : diagnostics.at(0).path + ": " + diagnostics.at(0).message;
    }

    kiln::test::TemporaryFolder folder_;
    fs::path recipes_ = folder_.path() / "recipes";
};

TEST_F(Sources, BelowTheRecipeAreRead)
{
    EXPECT_EQ(say("files/motd"), "no error");
    fs::create_symlink("files/motd", recipes_ / "link");
    EXPECT_EQ(say("link"), "no error");
}

TEST_F(Sources, AreBesideTheRecipeWhateverTheCurrentFolder)
{
    const fs::path before = fs::current_path();
    fs::current_path(recipes_);
    EXPECT_EQ(what_of(extended("[[step]]\nfile = \"/a\"\nsource = \"files/motd\"\n"), "x.toml"), "no error");
    fs::current_path(before);
}

TEST_F(Sources, PathsThatLeaveTheFolderAreRefused)
{
    for (const std::string source :
         {"../secret", "files/../../secret", "/etc/passwd", "", ".", "..", "files//motd", "./files/motd", "files/"}) {
        EXPECT_EQ(say(source), "step[0].source: \"" + source + "\" is not a path below the recipe's folder");
    }
}

TEST_F(Sources, SymlinksThatLeaveTheFolderAreRefused)
{
    fs::create_symlink("../secret", recipes_ / "out");
    fs::create_symlink("/etc/passwd", recipes_ / "absolute");
    fs::create_symlink("out", recipes_ / "twice");
    fs::create_directory_symlink("..", recipes_ / "up");
    fs::create_directory_symlink(folder_.path(), recipes_ / "self");
    for (const std::string source : {"out", "absolute", "twice", "up/secret", "self/secret"}) {
        EXPECT_EQ(say(source), "step[0].source: \"" + source + "\" leads out of the recipe's folder");
    }
    // A folder whose name only starts like the recipe's.
    make_directories(folder_.path() / "recipes-other");
    write_file_durably(folder_.path() / "recipes-other/motd", "x");
    fs::create_symlink("../recipes-other/motd", recipes_ / "sibling");
    EXPECT_EQ(say("sibling"), "step[0].source: \"sibling\" leads out of the recipe's folder");
}

TEST_F(Sources, WhatIsNoFileIsRefused)
{
    EXPECT_EQ(say("files"), "step[0].source: \"files\" is not a regular file");
    EXPECT_EQ(say("absent"), "step[0].source: \"absent\" can't be read: No such file or directory");
    ASSERT_EQ(::mkfifo((recipes_ / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(say("pipe"), "step[0].source: \"pipe\" is not a regular file");
    fs::create_symlink("loop", recipes_ / "loop");
    EXPECT_EQ(say("loop"), "step[0].source: \"loop\" can't be read: Too many levels of symbolic links");
}

TEST_F(Sources, LargeFilesAreRefused)
{
    const auto size_of_large = [&](std::uintmax_t bytes) {
        write_file_durably(recipes_ / "large", "");
        fs::resize_file(recipes_ / "large", bytes);
    };
    size_of_large(mebibytes(16).bytes() + 1);
    EXPECT_EQ(say("large"), "step[0].source: \"large\" is larger than 16 MiB");
    size_of_large(mebibytes(16).bytes());
    EXPECT_EQ(say("large"), "no error");
    const std::string step = "[[step]]\nfile = \"/a\"\nsource = \"large\"\n";
    EXPECT_EQ(diagnostics_of(extended(repeated(step, 4)), recipes_ / "x.toml").size(), 0U);
    EXPECT_EQ(diagnostics_of(extended(repeated(step, 5)), recipes_ / "x.toml").at(0).message,
              "the files of this recipe hold more than 64 MiB together");
}

} // namespace
} // namespace kiln::recipes::test
