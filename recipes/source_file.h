// SPDX-License-Identifier: Apache-2.0
// The files that a recipe names. Each is looked at when the recipe is parsed and remembered with its
// digest; symbolic links may not lead out of the recipe's folder.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "recipes/field_rules.h"
#include "recipes/recipe.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::recipes
{

// A file that is too large to be kept in memory.
struct LocatedFile {
    std::filesystem::path path; // absolute, without symbolic links
    Digest digest;
};

class SourceFiles
{
public:
    // `folder` holds the recipe; empty is the current one.
    explicit SourceFiles(const std::filesystem::path& folder);

    // The content of the regular file `relative`, which stays below the folder when every symlink is
    // followed; at most 16 MiB, and 64 MiB for all files of a recipe.
    [[nodiscard]] Checked<std::string> read(const std::string& relative);

    // A regular file of any size; read once, for its digest.
    [[nodiscard]] Checked<LocatedFile> locate(const std::string& relative);
    // The same where `path` may be absolute and then be anywhere.
    [[nodiscard]] Checked<LocatedFile> locate_anywhere(const std::string& path);

    // The folder of an OCI image layout, which may be anywhere, and the manifest (or index) that `wanted`
    // names in it.
    [[nodiscard]] Checked<LocatedFile> locate_layout(const std::string& path, const Digest& wanted);

    // What is in the folder `relative`, without following symbolic links, sorted by path, "" first. For
    // all trees of a recipe at most 20,000 entries and 2 GiB.
    [[nodiscard]] Checked<std::vector<TreeStep::Entry>> walk(const std::string& relative);

    // Everything that was looked at, by name.
    [[nodiscard]] std::vector<Input> inputs() const;

private:
    [[nodiscard]] Checked<std::filesystem::path> resolve(const std::string& path, bool may_leave) const;
    [[nodiscard]] Checked<LocatedFile> digest_at(const std::string& name, const std::filesystem::path& path);
    [[nodiscard]] std::optional<Problem> take_entry(const std::filesystem::directory_entry& found,
                                                    const std::string& name, TreeStep::Entry& entry);
    void remember(const std::string& name, const Digest& digest) { inputs_.insert_or_assign(name, digest); }

    std::filesystem::path folder_;
    ByteSize total_{};
    ByteSize tree_total_{};
    std::size_t tree_entries_ = 0;
    std::map<std::string, Digest> inputs_;
};

} // namespace kiln::recipes
