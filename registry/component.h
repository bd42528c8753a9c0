// SPDX-License-Identifier: Apache-2.0
// A component that was published in a region: a recipe's steps as TOML, with a signed statement of its name, version
// and account. An entry of the region's index makes it exist; it never changes.
#pragma once

#include "core/digest.h"
#include "core/semantic_version.h"

#include <string>

namespace kiln::registry
{

struct Component {
    std::string name;
    SemanticVersion version;
    std::string owner;     // account
    Digest manifest;       // of the OCI manifest
    std::string published; // ISO 8601
};

struct NewComponent {
    std::string name;
    SemanticVersion version;
    std::string owner;
    std::string text; // at most 1 MiB, with that name and version in it
};

} // namespace kiln::registry
