// SPDX-License-Identifier: Apache-2.0
// Drafts a recipe on a parent AMI that makes of it what an instance became. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kiln::recipes
{

struct DriftedFile {
    enum class Kind { file, folder, link, left_out };
    Kind kind = Kind::left_out;
    std::string path{};     // absolute, in the image
    std::uint32_t mode = 0; // of permissions
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::string source{}; // of a file: beside the recipe; of a link: its target; of one left out: why
};

struct DriftedUser {
    std::string name{};
    std::uint32_t id = 0;
    std::string home{};
};

struct DriftRecipe {
    std::string name{};
    std::string version{};
    std::string parent{}; // "debian-12@1.0.0"
    std::vector<std::string> packages_added{};
    std::vector<std::string> packages_removed{};
    std::vector<std::string> notes{}; // what the draft leaves to its reader, a line each
    std::vector<DriftedUser> users{};
    std::vector<DriftedFile> files{}; // by path
    std::vector<std::string> files_removed{};
    std::vector<std::string> services_enabled{};
    std::vector<std::string> services_disabled{};
};

// A whole recipe, as TOML.
[[nodiscard]] std::string draft_recipe(const DriftRecipe& all);

} // namespace kiln::recipes
