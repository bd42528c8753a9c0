// SPDX-License-Identifier: Apache-2.0
// RECIPE.lock.json, beside RECIPE.toml: the exact inputs and packages of one build. `kiln build --lock` writes
// it anew; a build that finds it uses just these or fails. Version 1 of the format; sorted, so that a change
// reads well in a review.
#pragma once

#include "builder/installed_package.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct LockFile {
    // What one layer installs. `step` is "bootstrap", "packages" (the recipe's own, over another base), or the place
    // of the `packages` step among the recipe's steps, as "step 3": a step keeps its lock as long as those before it
    // stay as many.
    struct Layer {
        std::string step{};
        std::vector<InstalledPackage> packages{};
    };
    std::map<std::string, Digest> inputs{}; // the recipe's files and components, by their names in it; the base
    std::vector<Layer> layers{};

    // nullptr where nothing is locked for the step.
    [[nodiscard]] const Layer* find(std::string_view step) const;
    // Of all layers, in their order.
    [[nodiscard]] std::vector<InstalledPackage> packages() const;
};

inline constexpr std::string_view lock_name_of_bootstrap = "bootstrap";
inline constexpr std::string_view lock_name_of_packages = "packages";

[[nodiscard]] std::filesystem::path lock_file_of(const std::filesystem::path& recipe);
// "step 3", of the recipe's steps counted from 1.
[[nodiscard]] std::string lock_name_of_step(std::size_t index);

// The inputs of a recipe, with an AMI's manifest or nullopt.
[[nodiscard]] std::map<std::string, Digest> locked_inputs(const recipes::Recipe& recipe,
                                                          const std::optional<Digest>& parent);
// The manifest of the AMI that the recipe starts from; nullopt where it is not locked.
[[nodiscard]] std::optional<Digest> locked_parent(const LockFile& lock, const recipes::Recipe& recipe);

[[nodiscard]] Json to_json(const LockFile& lock);
[[nodiscard]] std::string to_text(const LockFile& lock);
// Both throw Error{io} for what is no lock file of this version.
[[nodiscard]] LockFile lock_file_from_json(const Json& document, std::string_view file);
[[nodiscard]] LockFile parse_lock_file(std::string_view text, std::string_view file);
// nullopt when there is none.
[[nodiscard]] std::optional<LockFile> find_lock_file(const std::filesystem::path& file);
void save_lock_file(const LockFile& lock, const std::filesystem::path& file);

// apt_preferences(5) by which apt takes the locked versions, older ones too, as far as the archive has them. What it
// has no longer comes in another version: compare afterwards.
[[nodiscard]] std::string apt_preferences(const LockFile::Layer& layer);

// What differs, a line each: "step 2: nginx 1.22.1-9 is locked, the build has 1.22.1-10". Digests count where both
// sides know one.
[[nodiscard]] std::vector<std::string> differences(const LockFile::Layer& locked, const LockFile::Layer& built);
[[nodiscard]] std::vector<std::string> differences(const LockFile& locked, const LockFile& built);
// Both throw Error{package} that lists them.
void require_same(const LockFile::Layer& locked, const LockFile::Layer& built);
void require_same(const LockFile& locked, const LockFile& built);

} // namespace kiln::builder
