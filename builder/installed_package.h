// SPDX-License-Identifier: Apache-2.0
// A package as it was put in: the very bytes of its .deb and where they came from. Lock file, SBOM and
// provenance are made from these.
#pragma once

#include "core/digest.h"
#include "core/json.h"

#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct InstalledPackage {
    std::string name{};
    std::string version{};
    std::string architecture{};     // "amd64", "all"
    std::optional<Digest> sha256{}; // of the .deb; none where the archive did not tell
    std::string uri{};              // of the .deb; may be empty
    bool operator==(const InstalledPackage&) const = default;
};

// Beside a layer, and back; sorted by name and architecture. from_json throws Error{io}.
[[nodiscard]] Json to_json(const std::vector<InstalledPackage>& packages);
[[nodiscard]] std::vector<InstalledPackage> installed_packages_from_json(const Json& json);

} // namespace kiln::builder
