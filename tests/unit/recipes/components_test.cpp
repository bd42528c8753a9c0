// SPDX-License-Identifier: Apache-2.0
// Components, and attack 44 (an include cycle) on them.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>

namespace kiln::recipes::test
{
namespace
{

namespace fs = std::filesystem;

constexpr std::string_view web_server = R"(name = "web-server"
version = "1.2.0"
description = "A web server"

[parameters.port]
type = "integer"

[[build]]
file = "/etc/web.conf"
content = "listen {{ port }}\n"

[[build]]
run = "true {{ port }}"

[[validate]]
run = "test -e /etc/web.conf"

[[test]]
name = "answers"
http = "/"
port = "{{ port }}"
)";

class ComponentsOf : public testing::Test
{
protected:
    void write(const std::string& name, std::string_view text) const
    {
        make_directories(folder_.path() / "components");
        write_file_durably(folder_.path() / "components" / name, text);
    }
    // A component `name` whose steps are the components `others`.
    void write_chain(const std::string& name, const std::vector<std::string>& others) const
    {
        std::string text = "name = \"" + name + "\"\nversion = \"1.0.0\"\n";
        for (const std::string& other : others) {
            text += "[[build]]\ncomponent = \"" + other + "@1.x.x\"\n";
        }
        write(name + ".toml", text);
    }
    [[nodiscard]] fs::path file() const { return folder_.path() / "x.toml"; }
    [[nodiscard]] std::string say(std::string_view lines) const
    {
        const auto diagnostics = diagnostics_of(extended(lines), file());
        std::string out;
        for (const Diagnostic& of : diagnostics) {
            out += fs::path(of.file).filename().native() + ":" + std::to_string(of.position.line) + " " + of.path +
                   ": " + of.message + " | " + of.hint + "\n";
        }
        return out;
    }

    kiln::test::TemporaryFolder folder_;
};

TEST_F(ComponentsOf, ARecipePutTheirStepsInPlace)
{
    write("web.toml", web_server);
    const Recipe recipe = parse_recipe(extended("[[step]]\nrun = \"a\"\n[[step]]\ncomponent = \"web-server@1.x.x\"\n"
                                                "parameters = { port = 81 }\n[[step]]\nrun = \"b\"\n"
                                                "[[validate]]\nrun = \"c\"\n[[test]]\nrun = \"d\"\n"),
                                       file());
    std::vector<std::string> titles;
    std::ranges::transform(recipe.steps, std::back_inserter(titles), title_of);
    EXPECT_EQ(titles, (std::vector<std::string>{"run a", "file /etc/web.conf", "run true 81", "run b"}));
    EXPECT_EQ(std::get<FileStep>(recipe.steps[1].action).content, "listen 81\n");
    EXPECT_EQ(recipe.steps[0].file, file());
    EXPECT_EQ(recipe.steps[1].file, folder_.path() / "components/web.toml");
    EXPECT_EQ(recipe.steps[1].position.line, 8U);
    ASSERT_EQ(recipe.validations.size(), 2U);
    EXPECT_EQ(title_of(recipe.validations[0]), "run test -e /etc/web.conf");
    ASSERT_EQ(recipe.tests.size(), 2U);
    EXPECT_EQ(recipe.tests[1].name, "web-server: answers");
    EXPECT_EQ(std::get<HttpTest>(recipe.tests[1].check).port, 81);
    ASSERT_EQ(recipe.inputs.size(), 1U);
    EXPECT_EQ(recipe.inputs[0].name, "component web-server@1.2.0");
    EXPECT_EQ(recipe.inputs[0].digest, digest_of(web_server));
}

TEST_F(ComponentsOf, TwiceHaveTestsOfTwoNames)
{
    write("web.toml", web_server);
    const std::string step = "[[step]]\ncomponent = \"web-server@1.x.x\"\nparameters = { port = ";
    const Recipe recipe = parse_recipe(extended(step + "1 }\n" + step + "2 }\n"), file());
    ASSERT_EQ(recipe.tests.size(), 2U);
    EXPECT_EQ(recipe.tests[1].name, "web-server: answers (2)");
    EXPECT_EQ(recipe.inputs.size(), 1U);
}

TEST_F(ComponentsOf, TheHighestVersionThatFitsAreTaken)
{
    for (const std::string version : {"1.2.0", "1.10.0", "2.0.0"}) {
        write(version + ".toml",
              "name = \"com\"\nversion = \"" + version + "\"\n[[build]]\nrun = \"" + version + "\"\n");
    }
    const auto taken = [&](const std::string& pattern) {
        return title_of(parse_recipe(extended("[[step]]\ncomponent = \"com@" + pattern + "\"\n"), file()).steps.at(0));
    };
    EXPECT_EQ(taken("1.x.x"), "run 1.10.0");
    EXPECT_EQ(taken("1.2.x"), "run 1.2.0");
    EXPECT_EQ(taken("x.x.x"), "run 2.0.0");
    EXPECT_EQ(say("[[step]]\ncomponent = \"com@3.x.x\"\n"),
              "x.toml:13 step[0].component: there is no component com of such a version | there is com 1.2.0, 1.10.0, "
              "2.0.0\n");
    EXPECT_EQ(say("[[step]]\ncomponent = \"con@1.x.x\"\n"),
              "x.toml:13 step[0].component: there is no component con of such a version | did you mean \"com\"?\n");
    EXPECT_EQ(
        say("[[step]]\ncomponent = \"com\"\n"),
        "x.toml:13 step[0].component: \"com\" names no version | write NAME@VERSION, like \"web-server@1.x.x\"\n");
}

TEST_F(ComponentsOf, FindSourcesBesideThem)
{
    write("web.toml", "name = \"web\"\nversion = \"1.0.0\"\n[[build]]\nfile = \"/a\"\nsource = \"motd\"\n");
    write("motd", "of the component");
    write_file_durably(folder_.path() / "motd", "of the recipe");
    const Recipe recipe = parse_recipe(
        extended("[[step]]\ncomponent = \"web@1.0.0\"\n[[step]]\nfile = \"/b\"\nsource = \"motd\"\n"), file());
    EXPECT_EQ(std::get<FileStep>(recipe.steps.at(0).action).content, "of the component");
    EXPECT_EQ(std::get<FileStep>(recipe.steps.at(1).action).content, "of the recipe");
}

TEST_F(ComponentsOf, ARegionAreAskedForAfterTheFiles)
{
    struct Finder : ComponentFinder {
        std::optional<ComponentDocument> find(std::string_view name, const VersionPattern& /*version*/) override
        {
            if (name != "remote") {
                return std::nullopt;
            }
            return ComponentDocument{.text = text, .file = "region/remote", .folder = {}};
        }
        std::string text;
    } finder;
    finder.text = "name = \"remote\"\nversion = \"1.0.0\"\n[[build]]\nrun = \"far\"\n";
    const std::string recipe = extended("[[step]]\ncomponent = \"remote@1.x.x\"\n");
    EXPECT_EQ(title_of(parse_recipe(recipe, file(), {.components = &finder}).steps.at(0)), "run far");
    finder.text = "name = \"remote\"\nversion = \"1.0.0\"\n[[build]]\nfile = \"/a\"\nsource = \"x.toml\"\n";
    try {
        (void)parse_recipe(recipe, file(), {.components = &finder});
        FAIL() << "it parsed";
    } catch (const RecipeError& error) {
        EXPECT_EQ(error.diagnostics().at(0).message, "this component has no files beside it");
    }
    finder.text = "name = \"remote\"\nversion = \"2.0.0\"\n";
    EXPECT_THROW((void)parse_recipe(recipe, file(), {.components = &finder}), RecipeError);
}

TEST_F(ComponentsOf, AreToldWithTheirOwnLines)
{
    write("web.toml", "name = \"web\"\nversion = \"1.0.0\"\n[[build]]\nrun = \"\"\n");
    const std::string text = changed("\"1GiB\"", "\"8 parsecs\"") +
                             "[[step]]\ncomponent = \"web@1.0.0\"\n[[step]]\ncomponent = \"web@1.x.x\"\n";
    const std::string component = (folder_.path() / "components/web.toml").native();
    EXPECT_EQ(what_of(text, file()),
              file().native() +
                  ":10:8: storage[0].size: \"8 parsecs\" is not a size\n   10 | size = \"8 parsecs\"\n"
                  "      |        ^\n      = write it like \"2GiB\"\n\n" +
                  component + ":4:7: build[0].run: is empty\n    4 | run = \"\"\n      |       ^\n" +
                  "      = write it like \"apt-get clean\"\n\n2 errors in " + file().native() + ", " + component);
}

TEST_F(ComponentsOf, GetTheirParametersFromTheStep)
{
    write("web.toml", web_server);
    const std::string step = "[[step]]\ncomponent = \"web-server@1.x.x\"\n";
    EXPECT_EQ(say(step), "x.toml:12 step[0].parameters.port: is missing | add port = 8080\n");
    EXPECT_EQ(say(step + "parameters = { port = \"80\" }\n"),
              "x.toml:14 step[0].parameters.port: must be an integer, not a string | write it like 8080\n");
    EXPECT_EQ(say(step + "parameters = { port = 80, pot = 1 }\n"),
              "x.toml:14 step[0].parameters.pot: unknown parameter | did you mean \"port\"?\n");
    EXPECT_EQ(say(step + "parameters = 1\n"),
              "x.toml:14 step[0].parameters: must be a table, not an integer | write it like { listen_port = 8080 }\n");
}

TEST_F(ComponentsOf, OnlyRunInValidations)
{
    write("web.toml", "name = \"web\"\nversion = \"1.0.0\"\n[[validate]]\nservice = \"a\"\n");
    EXPECT_EQ(say("[[step]]\ncomponent = \"web@1.0.0\"\n").substr(0, 47),
              "web.toml:3 validate[0]: has none of the keys ru");
}

TEST_F(ComponentsOf, UseTheRecipesSecrets)
{
    const std::string step = "[[step]]\ncomponent = \"com@1.0.0\"\n";
    write("com.toml", "name = \"com\"\nversion = \"1.0.0\"\n[[build]]\nrun = \"a\"\nsecrets = [\"key\"]\n");
    EXPECT_EQ(say(step),
              "com.toml:5 build[0].secrets[0]: \"key\" is not a secret of the recipe | add a [[secret]] table "
              "with this name to the recipe\n");
    const Recipe recipe = parse_recipe(extended("[[secret]]\nname = \"key\"\nenvironment = \"KEY\"\n" + step), file());
    EXPECT_EQ(std::get<RunStep>(recipe.steps.at(0).action).secrets, (std::vector<std::string>{"key"}));
    EXPECT_EQ(recipe.secrets.at(0).environment_name, "KEY");
    // A component brings no secrets of its own: it would name files of the host.
    write("com.toml", "name = \"com\"\nversion = \"1.0.0\"\n[[secret]]\nname = \"key\"\nfile = \"/etc/shadow\"\n");
    EXPECT_EQ(say(step).substr(0, 31), "com.toml:3 secret: unknown key ");
}

using Attack44Components = ComponentsOf;

TEST_F(Attack44Components, ACycleIsShownAsAChain)
{
    write_chain("aaa", {"bbb"});
    write_chain("bbb", {"ccc"});
    write_chain("ccc", {"bbb"});
    EXPECT_EQ(
        say("[[step]]\ncomponent = \"aaa@1.x.x\"\n"),
        "ccc.toml:4 build[0].component: the component includes itself: bbb@1.0.0 -> ccc@1.0.0 -> bbb@1.0.0 | remove "
        "one of these steps\n");
    write_chain("aaa", {"aaa"});
    EXPECT_EQ(
        say("[[step]]\ncomponent = \"aaa@1.0.0\"\n"),
        "aaa.toml:4 build[0].component: the component includes itself: aaa@1.0.0 -> aaa@1.0.0 | remove one of these "
        "steps\n");
}

TEST_F(Attack44Components, DepthIsBounded)
{
    for (int i = 0; i < 30; ++i) {
        write_chain("com-" + std::to_string(i), {"com-" + std::to_string(i + 1)});
    }
    EXPECT_NE(say("[[step]]\ncomponent = \"com-0@1.x.x\"\n").find("components are nested more than 16 deep"),
              std::string::npos);
}

TEST_F(Attack44Components, ATreeThatDoublesIsBounded)
{
    for (int i = 0; i < 15; ++i) {
        const std::string next = "com-" + std::to_string(i + 1);
        write_chain("com-" + std::to_string(i), std::vector<std::string>(10, next));
    }
    write_chain("com-15", {});
    EXPECT_NE(say("[[step]]\ncomponent = \"com-0@1.x.x\"\n").find("the recipe uses more than 256 components"),
              std::string::npos);
}

TEST_F(Attack44Components, ErrorsOfAComponentAreToldOnce)
{
    std::string keys = "name = \"bad\"\nversion = \"1.0.0\"\n";
    for (int i = 0; i < 1000; ++i) {
        keys += "k" + std::to_string(i) + " = 1\n";
    }
    write("bad.toml", keys);
    std::string steps;
    for (int i = 0; i < 200; ++i) {
        steps += "[[step]]\ncomponent = \"bad@1.0.0\"\n";
    }
    EXPECT_EQ(diagnostics_of(extended(steps), file()).size(), 1000U);
}

TEST_F(Attack44Components, FilesCantLeadOutOfTheRecipesFolder)
{
    const kiln::test::TemporaryFolder elsewhere;
    write_file_durably(elsewhere.path() / "com.toml", "name = \"com\"\nversion = \"1.0.0\"\n");
    make_directories(folder_.path() / "components");
    fs::create_symlink(elsewhere.path() / "com.toml", folder_.path() / "components/com.toml");
    EXPECT_EQ(
        say("[[step]]\ncomponent = \"com@1.0.0\"\n"),
        "x.toml:13 step[0].component: there is no component com of such a version | these are no readable component "
        "files: com.toml\n");
}

} // namespace
} // namespace kiln::recipes::test
