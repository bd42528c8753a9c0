// SPDX-License-Identifier: Apache-2.0
// What may be published as a component.
#include "recipes/component_check.h"

#include <gmock/gmock.h>

namespace kiln::recipes
{
namespace
{

using testing::HasSubstr;

constexpr std::string_view head = "name = \"web-server\"\nversion = \"1.2.0\"\ndescription = \"a web server\"\n";

// Has one component, "base".
class OneComponent : public ComponentFinder
{
public:
    std::optional<ComponentDocument> find(std::string_view name, const VersionPattern& /*version*/) override
    {
        return name == "base" ? std::optional(ComponentDocument{.text = text, .file = "base@1.0.0", .folder = {}})
                              : std::nullopt;
    }
    std::string text = "name = \"base\"\nversion = \"1.0.0\"\n[[build]]\nrun = \"true\"\nsecrets = [\"key\"]\n";
};

CheckedComponent check(const std::string& lines, const std::map<std::string, std::string>& parameters = {})
{
    OneComponent others;
    return check_component(std::string(head) + lines, "web.toml", {.parameters = parameters, .components = &others});
}

std::string refusal(const std::string& lines, const std::map<std::string, std::string>& parameters = {})
{
    try {
        static_cast<void>(check(lines, parameters));
    } catch (const RecipeError& error) {
        return error.what();
    }
    return "";
}

TEST(ComponentCheck, TakesStepsTestsSecretsAndOtherComponents)
{
    const CheckedComponent component = check(R"(
[[build]]
packages = ["nginx"]
[[build]]
run = "configure"
secrets = ["password"]
[[build]]
component = "base@1.x.x"
[[validate]]
run = "true"
[[test]]
port = 80
)");
    EXPECT_EQ("web-server", component.name);
    EXPECT_EQ("1.2.0", component.version.to_string());
    EXPECT_EQ("a web server", component.description);
}

TEST(ComponentCheck, RefusesWhatARecipeWouldRefuse)
{
    EXPECT_THAT(refusal("[[build]]\nrun = \"true\"\ntimeout = \"never\"\n"),
                HasSubstr("web.toml:6:11: build[0].timeout"));
    EXPECT_THAT(refusal("[[step]]\nrun = \"true\"\n"), HasSubstr("step"));
    EXPECT_THAT(refusal("[[build]]\ncomponent = \"other@1.x.x\"\n"), HasSubstr("no component other"));
    EXPECT_THAT(refusal("[["), HasSubstr("web.toml:4"));
    EXPECT_THAT(refusal("# " + std::string(std::size_t{1} << 20U, 'x')), HasSubstr("at most 1 MiB"));
}

TEST(ComponentCheck, RefusesFilesThatItWouldNotHaveInARegion)
{
    EXPECT_THAT(refusal("[[build]]\nfile = \"/etc/x\"\nsource = \"x\"\n"), HasSubstr("no files beside it"));
    EXPECT_THAT(refusal("[[build]]\nfile = \"/etc/x\"\nsource = \"/etc/passwd\"\n"), HasSubstr("source"));
}

TEST(ComponentCheck, NeedsValuesForParametersWithoutADefault)
{
    const std::string lines = "[parameters.port]\ntype = \"integer\"\n[[test]]\nport = \"{{ port }}\"\n";
    EXPECT_THAT(refusal(lines), HasSubstr("--set port="));
    EXPECT_EQ("web-server", check(lines, {{"port", "80"}}).name);
    EXPECT_THAT(refusal(lines, {{"port", "700000"}}), HasSubstr("port"));
    EXPECT_THROW(static_cast<void>(check(lines, {{"port", "80"}, {"prot", "80"}})), Error);
}

} // namespace
} // namespace kiln::recipes
