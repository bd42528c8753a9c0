// SPDX-License-Identifier: Apache-2.0
// The files beside a recipe that its `source` keys name.
#pragma once

#include "core/byte_size.h"
#include "recipes/field_rules.h"

#include <filesystem>
#include <string>

namespace kiln::recipes
{

class SourceFiles
{
public:
    // `folder` holds the recipe; empty is the current one.
    explicit SourceFiles(const std::filesystem::path& folder);

    // The content of the regular file `relative`, which stays below the folder when every symlink is
    // followed; at most 16 MiB, and 64 MiB for all files of a recipe.
    [[nodiscard]] Checked<std::string> read(const std::string& relative);

private:
    std::filesystem::path folder_;
    ByteSize total_{};
};

} // namespace kiln::recipes
