// SPDX-License-Identifier: Apache-2.0
// A recipe, with a few files and a component beside it: it is refused with a message that a terminal can show, or
// it has a digest, which is the same when it is read again.
#include "core/error.h"
#include "core/files.h"
#include "recipes/field_rules.h"
#include "recipes/recipe.h"
#include "recipes/toml_document.h"
#include "tests/fuzz/require.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace kiln::fuzz
{
namespace
{

namespace fs = std::filesystem;

// What inputs may name: they can't reach other files, since paths of sources stay below the recipe's folder.
class Scratch
{
public:
    Scratch()
    {
        make_directories(folder_.path() / "files/app");
        make_directories(folder_.path() / "components");
        write_file_durably(folder_.path() / "files/app/main", "#!/bin/sh\n");
        write_file_durably(folder_.path() / "files/motd", "test");
        write_file_durably(folder_.path() / "components/web.toml",
                           "name = \"web\"\nversion = \"1.0.0\"\n[parameters.port]\ntype = \"integer\"\n"
                           "[[build]]\nrun = \"echo {{ port }}\"\n[[build]]\ncomponent = \"loop@1.x.x\"\n"
                           "[[test]]\nport = \"{{ port }}\"\n");
        write_file_durably(folder_.path() / "components/loop.toml",
                           "name = \"loop\"\nversion = \"1.0.0\"\n[[build]]\ncomponent = \"web@1.x.x\"\n");
        write_file_durably(folder_.path() / "components/base.toml",
                           "name = \"base\"\nversion = \"1.0.0\"\n[[build]]\nfile = \"/etc/motd\"\nsource = \"motd\"\n"
                           "[[validate]]\nrun = \"true\"\n");
        write_file_durably(folder_.path() / "components/motd", "test");
    }
    [[nodiscard]] fs::path recipe() const { return folder_.path() / "x.toml"; }

private:
    kiln::test::TemporaryFolder folder_;
};

// `disk` and `rootfs` alone may be absolute, and then anywhere on the host: no such input is read.
bool may_leave(std::string_view text)
{
    const auto document = recipes::parse_toml(text);
    const auto* root = std::get_if<recipes::Value>(&document);
    if (root == nullptr) {
        return false;
    }
    const auto base = std::ranges::find(root->children, "base", &recipes::Value::key);
    return base != root->children.end() && std::ranges::any_of(base->children, [](const recipes::Value& value) {
               return (value.key == "disk" || value.key == "rootfs") &&
                      (value.text.starts_with('/') || value.text.find("{{") != std::string::npos);
           });
}

void read_recipe(std::string_view text)
{
    static const Scratch scratch;
    try {
        const recipes::Recipe recipe = recipes::parse_recipe(text, scratch.recipe());
        require(recipe.digest.has_value(), "a recipe has a digest");
        require(recipe.digest == digest_of(canonical_json(recipes::to_json(recipe))), "the digest is of the JSON");
        require(recipe.digest == recipes::parse_recipe(text, scratch.recipe()).digest, "the digest stays");
    } catch (const recipes::RecipeError& error) {
        const std::string_view what = error.what();
        require(!what.empty() && !error.diagnostics().empty(), "an error says something");
        require(!recipes::find_hidden_character(what, true), "a terminal can show the error");
    }
}

} // namespace
} // namespace kiln::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (!kiln::fuzz::may_leave(text)) {
        kiln::fuzz::read_recipe(text);
    }
    return 0;
}
