// SPDX-License-Identifier: Apache-2.0
// Parameters: declared, given, referred to.
#include "recipe_fixture.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

namespace kiln::recipes::test
{
namespace
{

constexpr std::string_view port = "[parameters.port]\ntype = \"integer\"\ndefault = 8080\n";

std::string motd(std::string_view parameters, std::string_view content, const LoadOptions& options = {})
{
    const std::string text = extended(std::string(parameters) + "[[step]]\nfile = \"/etc/motd\"\ncontent = '" +
                                      std::string(content) + "'\n");
    try {
        return std::get<FileStep>(parse_recipe(text, "x.toml", options).steps.at(0).action).content;
    } catch (const RecipeError& error) {
        const Diagnostic& first = error.diagnostics().at(0);
        return std::to_string(first.position.line) + " " + first.path + ": " + first.message + " | " + first.hint;
    }
}

TEST(Parameters, StandWhereTheyAreReferredTo)
{
    EXPECT_EQ(motd(port, "port {{ port }} and {{port}}"), "port 8080 and 8080");
    EXPECT_EQ(motd(port, "{{ port }}"), "8080"); // an integer where a string is wanted
    EXPECT_EQ(motd("[parameters.on]\ntype = \"boolean\"\ndefault = true\n", "is {{ on }}"), "is true");
    EXPECT_EQ(motd("[parameters.a]\ntype = \"string\"\ndefault = \"{{ a }}\"\n", "<{{ a }}>"), "<{{ a }}>");
}

TEST(Parameters, HaveAnEscape)
{
    EXPECT_EQ(motd("", R"({{ "{{" }} .Names }})"), "{{ .Names }}");
    EXPECT_EQ(motd(port, R"({{"{{"}}{{ port }}}})"), "{{8080}}");
}

TEST(Parameters, GetTheirTypeInAWholeString)
{
    const std::string text = extended("[parameters.on]\ntype = \"boolean\"\ndefault = false\n"
                                      "[parameters.status]\ntype = \"integer\"\ndefault = 3\n"
                                      "[[step]]\nservice = \"a\"\nenabled = \"{{ on }}\"\n"
                                      "[[test]]\nrun = \"a\"\nstatus = \"{{ status }}\"\n");
    const Recipe recipe = parse_recipe(text, "x.toml");
    EXPECT_EQ(std::get<ServiceStep>(recipe.steps.at(0).action).state, ServiceStep::State::disabled);
    EXPECT_EQ(std::get<RunTest>(recipe.tests.at(0).check).status, 3);
}

TEST(Parameters, AreSetFromTheCommandLine)
{
    EXPECT_EQ(motd(port, "{{ port }}", {.parameters = {{"port", "443"}}}), "443");
    EXPECT_EQ(motd(port, "{{ port }}", {.parameters = {{"port", "eighty"}}}),
              "12 parameters.port: --set port: \"eighty\" is not an integer | write it like 8080");
    EXPECT_EQ(motd("[parameters.on]\ntype = \"boolean\"\n", "{{ on }}", {.parameters = {{"on", "yes"}}}),
              "12 parameters.on: --set on: \"yes\" is not true or false | write it like true");
    EXPECT_EQ(motd("[parameters.color]\ntype = \"string\"\nallowed = [\"red\", \"blue\"]\n", "{{ color }}",
                   {.parameters = {{"color", "green"}}}),
              "12 parameters.color: --set color: \"green\" is not allowed | allowed: red, blue");
    EXPECT_EQ(motd("[parameters.a]\ntype = \"string\"\n", "{{ a }}", {.parameters = {{"a", "\x1b[2J"}}}),
              "12 parameters.a: --set a: \"\\x1b[2J\" holds a control character | only newlines and tabs may be in it");
}

TEST(Parameters, OfAnUnknownNameAreAUsageError)
{
    try {
        (void)motd(port, "", {.parameters = {{"pot", "1"}}});
        FAIL() << "it parsed";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
        EXPECT_EQ(error.message(), "--set pot: the recipe has no such parameter");
        EXPECT_EQ(error.hint(), "did you mean \"port\"?");
    }
}

TEST(Parameters, SayWhatIsWrong)
{
    EXPECT_EQ(motd("", "{{ port }}").substr(0, 60), "14 step[0].content: {{ port }} refers to no parameter | decl");
    EXPECT_EQ(motd(port, "{{ pot }}"),
              "17 step[0].content: {{ pot }} refers to no parameter | did you mean {{ port }}?");
    EXPECT_EQ(motd(port, "{{ port").substr(0, 39), "17 step[0].content: \"{{ port\" has no }}");
    EXPECT_EQ(motd("[parameters.port]\ntype = \"integer\"\n", "{{ port }}"),
              "12 parameters.port: has no value | give it a default, or build with --set port=8080");
    EXPECT_EQ(motd("[parameters.port]\ntype = \"integer\"\ndefault = \"80\"\n", ""),
              "14 parameters.port.default: must be an integer, not a string | write it like 8080");
    EXPECT_EQ(motd("[parameters.port]\ntype = \"integer\"\ndefault = 1\nallowed = [2, 3]\n", ""),
              "14 parameters.port.default: \"1\" is not allowed | allowed: 2, 3");
    EXPECT_EQ(motd("[parameters.Port]\ntype = \"int\"\n", "").substr(0, 48),
              "12 parameters.Port: \"Port\" is not a name | lower");
    EXPECT_EQ(motd("[parameters]\nport = 1\n", "").substr(0, 47), "13 parameters.port: must be a table, not an int");
}

TEST(Parameters, AreRulesForTheirPlaceAsWell)
{
    EXPECT_EQ(
        summary_of(extended("[parameters.p]\ntype = \"string\"\ndefault = \"../x\"\n[[step]]\nfile = \"/{{ p }}\"\n"
                            "content = \"\"\n")),
        "16:8 step[0].file: \"/../x\" is not an absolute, normalized path | start with \"/\", without \"..\", \".\", "
        "\"//\" or a \"/\" at the end\n");
}

TEST(Parameters, ReachFilesThatAreTemplates)
{
    const kiln::test::TemporaryFolder folder;
    write_file_durably(folder.path() / "motd", "port {{ port }}\n");
    const auto content = [&](std::string_view more) {
        const std::string text =
            extended(std::string(port) + "[[step]]\nfile = \"/a\"\nsource = \"motd\"\n" + std::string(more));
        return std::get<FileStep>(parse_recipe(text, folder.path() / "x.toml").steps.at(0).action).content;
    };
    EXPECT_EQ(content(""), "port {{ port }}\n");
    EXPECT_EQ(content("template = true\n"), "port 8080\n");
}

TEST(Attack42, ReferencesCantGrowWithoutBound)
{
    std::string text = "[parameters.a]\ntype = \"string\"\ndefault = \"" + std::string(100'000, 'x') + "\"\n";
    std::string content;
    for (int i = 0; i < 1000; ++i) {
        content += "{{ a }}";
    }
    EXPECT_EQ(motd(text, content),
              "17 step[0].content: the references of this recipe become too much text | 16 MiB in all");
}

} // namespace
} // namespace kiln::recipes::test
