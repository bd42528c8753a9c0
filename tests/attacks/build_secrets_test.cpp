// SPDX-License-Identifier: Apache-2.0
// Attack 36 of docs/threat-model.md: what is published about a recipe holds no secret. What the build itself does with
// one is in tests/integration/steps_test.cpp.
#include "builder/provenance.h"
#include "core/files.h"
#include "recipes/recipe.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace kiln::builder
{
namespace
{

using testing::HasSubstr;
using testing::Not;

constexpr const char* text = R"(name = "hello"
version = "1.0.0"
architecture = "x86_64"
[base]
bootstrap = "debian"
suite = "bookworm"
[[storage]]
size = "2GiB"
filesystem = "ext4"
[[secret]]
name = "from-file"
file = "place-of-the-secret"
[[secret]]
name = "from-environment"
environment = "PLACE_OF_THE_SECRET"
[[step]]
run = "use"
secrets = ["from-file", "from-environment"]
)";

TEST(Attack36, TheRecipesJsonAndTheProvenanceHoldNoSecret)
{
    const kiln::test::TemporaryFolder folder;
    const std::string value = "value-of-the-secret";
    write_file_durably(folder.path() / "place-of-the-secret", value, 0600);
    ASSERT_EQ(::setenv("PLACE_OF_THE_SECRET", value.c_str(), 1), 0);
    const recipes::Recipe recipe = recipes::parse_recipe(text, folder.path() / "hello.toml");
    ::unsetenv("PLACE_OF_THE_SECRET");
    ASSERT_EQ(recipe.secrets.at(0).file, folder.path() / "place-of-the-secret");
    ASSERT_EQ(recipe.secrets.at(1).environment_name, "PLACE_OF_THE_SECRET");

    const std::string json = to_json(recipe).dump();
    EXPECT_THAT(json, HasSubstr("from-environment")); // the step's, so that it is the whole recipe
    const std::string provenance = provenance_predicate(recipe, {.parameters = {{"a", "b"}}}).dump();
    EXPECT_THAT(provenance, HasSubstr("hello"));
    for (const std::string& published : {json, provenance}) {
        EXPECT_THAT(published, Not(HasSubstr(value)));
        EXPECT_THAT(published, Not(HasSubstr("place-of-the-secret")));
        EXPECT_THAT(published, Not(HasSubstr("PLACE_OF_THE_SECRET")));
    }
}

} // namespace
} // namespace kiln::builder
