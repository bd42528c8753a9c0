// SPDX-License-Identifier: Apache-2.0
// The documents that go with a built AMI: its bill of materials and how it came to be.
#pragma once

#include "builder/disk_set.h"
#include "recipes/recipe.h"
#include "registry/region.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::cli
{

struct BuildFacts {
    std::optional<Digest> parent{};
    std::map<std::string, std::string> parameters{}; // of --set
    std::string account{};
    std::string started{};     // ISO 8601
    SemanticVersion version{}; // of the image
};

[[nodiscard]] std::vector<registry::Attachment> attestations_of(const recipes::Recipe& recipe,
                                                                const builder::DiskSet& disks, const BuildFacts& facts);

} // namespace kiln::cli
