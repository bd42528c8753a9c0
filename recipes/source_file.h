// SPDX-License-Identifier: Apache-2.0
// The files beside a recipe that its `source` keys name.
#pragma once

#include "core/byte_size.h"
#include "recipes/field_rules.h"

#include <filesystem>
#include <string>
#include <utility>

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

    // As long as it lives, files are looked up in the folder of a component; nowhere when it is empty.
    class Visit
    {
    public:
        Visit(SourceFiles& files, const std::filesystem::path& folder)
            : files_(files), before_(std::exchange(files.folder_, folder))
        {
        }
        ~Visit() { files_.folder_ = std::move(before_); }
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;

    private:
        SourceFiles& files_;
        std::filesystem::path before_;
    };

private:
    std::filesystem::path folder_;
    ByteSize total_{};
};

} // namespace kiln::recipes
