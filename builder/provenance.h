// SPDX-License-Identifier: Apache-2.0
// How an image came to be: the predicate of SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance), to be
// put in a signed in-toto statement about the image. Pure. No secret's value is ever an argument.
#pragma once

#include "builder/installed_package.h"
#include "core/digest.h"
#include "core/json.h"
#include "recipes/recipe.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

inline constexpr std::string_view provenance_type = "https://slsa.dev/provenance/v1";

struct ProvenanceFacts {
    std::optional<Digest> parent{};                  // the manifest of the AMI that it starts from
    std::map<std::string, std::string> parameters{}; // of --set
    std::vector<InstalledPackage> packages{};        // of all layers
    std::map<std::string, std::string> tools{};      // "qemu-img" -> "7.2.22"
    std::string kiln_version{};
    std::string account{};    // who ran the build
    std::string invocation{}; // unique to the build, as a UUID
    std::string started{};    // ISO 8601
    std::string finished{};   // ISO 8601
};

[[nodiscard]] Json provenance_predicate(const recipes::Recipe& recipe, const ProvenanceFacts& facts);

// The versions of what a build runs, as installed now; a program that is missing is left out. Runs each with
// --version; seconds at most.
[[nodiscard]] std::map<std::string, std::string> tool_versions();
// The first version number in what `PROGRAM --version` prints; exposed for its test.
[[nodiscard]] std::string version_in(std::string_view output);

} // namespace kiln::builder
