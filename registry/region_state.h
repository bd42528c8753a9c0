// SPDX-License-Identifier: Apache-2.0
// What a Region holds. Private to registry/.
#pragma once

#include "registry/catalogue.h"
#include "registry/region.h"

#include <filesystem>
#include <string>

namespace kiln::registry
{

struct Region::State {
    std::filesystem::path folder;
    std::string name;
    bundle::Layout layout;
    Catalogue catalogue;
};

// Taken by whoever changes the region: its index, its blobs or its catalogue.
[[nodiscard]] inline std::filesystem::path lock_file(const std::filesystem::path& folder)
{
    return folder / "lock";
}

} // namespace kiln::registry
