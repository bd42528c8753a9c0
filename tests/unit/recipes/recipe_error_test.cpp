// SPDX-License-Identifier: Apache-2.0
// How a wrong recipe is told: all at once, in the order of the file, each with its line and a caret.
#include "recipe_fixture.h"

#include "tests/support/golden.h"

namespace kiln::recipes::test
{
namespace
{

constexpr std::string_view wrong_everywhere = R"(nmae = "debian-12"
version = "1.0"
architecture = "arm64"
packages = ["less", 7, "-oDebug", "less"]

[base]
bootstrap = "debain"
mirror = "ftp://deb.debian.org"

[[storage]]
size = "8 parsecs"
filesystem = "ext3"
delete_on_termination = "yes"

[[storage]]
size = "1GiB"

[[step]]
file = "/etc/../shadow"
mode = 644

[[step]]
run = "true"
service = "ssh"

[[step]]
fille = "/etc/motd"

[[step]]
user = "Admin"
sudoo = true

[[step]]
run = "sleep 1"
timeout = "1 fortnight"

[[test]]
console = "login: ("

[[test]]
run = "true"
status = 256
)";

TEST(RecipeError, ShowsAllErrorsAtOnce)
{
    kiln::test::expect_golden("recipes/wrong-everywhere.txt", what_of(wrong_everywhere, "recipes/x.toml") + "\n");
    EXPECT_EQ(diagnostics_of(wrong_everywhere).size(), 24U);
}

TEST(RecipeError, HasTheShapeOfTheReference)
{
    const std::string text = changed("size = \"1GiB\"", "size = \"8 parsecs\"");
    EXPECT_EQ(what_of(text, "recipes/x.toml"), R"(recipes/x.toml:10:8: storage[0].size: "8 parsecs" is not a size
   10 | size = "8 parsecs"
      |        ^
      = write it like "2GiB"

1 error in recipes/x.toml)");
    try {
        (void)parse_recipe(text, "x.toml");
        FAIL() << "it parsed";
    } catch (const RecipeError& error) {
        EXPECT_EQ(error.kind(), ErrorKind::recipe);
        ASSERT_EQ(error.diagnostics().size(), 1U);
        EXPECT_EQ(error.diagnostics()[0].path, "storage[0].size");
        EXPECT_EQ(error.diagnostics()[0].message, "\"8 parsecs\" is not a size");
        EXPECT_EQ(error.diagnostics()[0].hint, "write it like \"2GiB\"");
        EXPECT_EQ(error.diagnostics()[0].position.line, 10U);
        EXPECT_EQ(error.diagnostics()[0].position.column, 8U);
    }
}

TEST(RecipeError, SortsByPosition)
{
    const RecipeError error("x", "a\nb\nc\n", {{{3, 1}, "c", "3", ""}, {{1, 2}, "b", "2", ""}, {{1, 1}, "a", "1", ""}});
    EXPECT_EQ(error.diagnostics()[0].path, "a");
    EXPECT_EQ(error.diagnostics()[2].path, "c");
    EXPECT_STREQ(error.what(), "x:1:1: a: 1\n    1 | a\n      | ^\n\n"
                               "x:1:2: b: 2\n    1 | a\n      |  ^\n\n"
                               "x:3:1: c: 3\n    3 | c\n      | ^\n\n"
                               "3 errors in x");
}

TEST(RecipeError, PointsWithTabsAccentsAndEscapes)
{
    const RecipeError tabs("x", "\ta = 1", {{{1, 6}, "a", "m", ""}});
    EXPECT_STREQ(tabs.what(), "x:1:6: a: m\n    1 |  a = 1\n      |      ^\n\n1 error in x");
    const RecipeError accents("x", "é = ü", {{{1, 5}, "a", "m", ""}});
    EXPECT_STREQ(accents.what(), "x:1:5: a: m\n    1 | é = ü\n      |     ^\n\n1 error in x");
    const RecipeError escapes("x\x1b", "\x1b[2J = 1", {{{1, 5}, "a\x1b", "m\x1b", "h\x1b"}});
    EXPECT_STREQ(escapes.what(),
                 "x\\x1b:1:5: a\\x1b: m\\x1b\n    1 | \\x1b[2J = 1\n      |        ^\n      = h\\x1b\n\n"
                 "1 error in x\\x1b");
}

TEST(RecipeError, CutsLongLinesAroundTheCaret)
{
    const std::string line = std::string(5000, 'a') + "!" + std::string(5000, 'b');
    const RecipeError error("x", line, {{{1, 5001}, "k", "m", ""}});
    EXPECT_EQ(std::string(error.what()), "x:1:5001: k: m\n    1 | ..." + std::string(50, 'a') + "!" +
                                             std::string(49, 'b') + "...\n      | " + std::string(53, ' ') +
                                             "^\n\n1 error in x");
}

TEST(RecipeError, PlacesBeyondTheTextHaveNoExcerptOrACaretAtTheEnd)
{
    const RecipeError beyond("x", "a", {{{7, 1}, "k", "m", ""}});
    EXPECT_STREQ(beyond.what(), "x:7:1: k: m\n\n1 error in x");
    const RecipeError right("x", "ab", {{{1, 99}, "k", "m", ""}});
    EXPECT_STREQ(right.what(), "x:1:99: k: m\n    1 | ab\n      |   ^\n\n1 error in x");
}

TEST(RecipeError, ShowsTheFirstHundred)
{
    std::string text = good_recipe.substr(0, 0);
    for (int i = 0; i < 500; ++i) {
        text += "k" + std::to_string(i) + " = 1\n";
    }
    const std::string what = what_of(text);
    EXPECT_NE(what.find("\n\n505 errors in x.toml (the first 100 are shown)"), what.npos)
        << what.substr(what.size() - 99);
    EXPECT_EQ(diagnostics_of(text).size(), 505U);
}

TEST(RecipeError, AnEmptyRecipeMissesWhatIsRequired)
{
    EXPECT_EQ(summary_of(""), R"(1:1 name: is missing | add name = "debian-12"
1:1 version: is missing | add version = "1.0.0"
1:1 architecture: is missing | add architecture = "x86_64"
1:1 base: is missing | add a [base] table
1:1 storage: is missing | add a [[storage]] table
)");
}

TEST(RecipeError, SyntaxErrorsComeAlone)
{
    EXPECT_EQ(what_of("name = \"a\"\nversion = \n"),
              R"(x.toml:2:11: not valid TOML: Error while parsing key-value pair: expected value, saw '\n'
    2 | version = 
      |           ^

1 error in x.toml)");
}

} // namespace
} // namespace kiln::recipes::test
