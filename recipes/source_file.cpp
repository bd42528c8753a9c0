// SPDX-License-Identifier: Apache-2.0
// Single files that a recipe names; source_tree.cpp has whole folders.
#include "recipes/source_file.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_file = mebibytes(16);
constexpr ByteSize largest_total = mebibytes(64);
constexpr ByteSize largest_manifest = mebibytes(4); // of an image; as the OCI distribution specification advises

bool is_below(const fs::path& path, const fs::path& folder)
{
    const auto [rest, end] = std::ranges::mismatch(path, folder);
    return end == folder.end() && rest != path.end();
}

Problem unreadable(const std::string& name, std::string_view why)
{
    return Problem{fmt::format("{} can't be read: {}", in_quotes(name), shortened(why, 200)),
                   "the user who builds must be able to read it"};
}

} // namespace

SourceFiles::SourceFiles(const fs::path& folder) : folder_(folder.empty() ? fs::path(".") : folder) {}

Checked<fs::path> SourceFiles::resolve(const std::string& path, bool may_leave) const
{
    std::error_code failed;
    const fs::path folder = fs::canonical(folder_, failed);
    fs::path found = failed ? fs::path() : fs::canonical(folder / path, failed);
    if (failed) {
        return Problem{fmt::format("{} can't be read: {}", in_quotes(path), failed.message()),
                       "files are looked up in the recipe's folder"};
    }
    if (!is_below(found, folder) && !may_leave) {
        return Problem{in_quotes(path) + " leads out of the recipe's folder", "copy the file into it"};
    }
    return found;
}

Checked<std::string> SourceFiles::read(const std::string& relative)
{
    auto resolved = resolve(relative, false);
    if (auto* problem = std::get_if<Problem>(&resolved)) {
        return std::move(*problem);
    }
    const auto& path = std::get<fs::path>(resolved);
    std::error_code failed;
    if (!fs::is_regular_file(path, failed)) {
        return Problem{in_quotes(relative) + " is not a regular file", "name a file"};
    }
    std::string content;
    try {
        // The size is looked at first, so that nothing is read in vain; read_file stays with the limit.
        if (fs::file_size(path) <= largest_file.bytes()) {
            content = read_file(path, largest_file);
        } else {
            return Problem{fmt::format("{} is larger than {}", in_quotes(relative), to_string(largest_file)),
                           "fetch large files in a `run` step, or install them as a package"};
        }
    } catch (const std::exception& error) {
        return unreadable(relative, error.what());
    }
    total_ = total_ + ByteSize(content.size());
    if (total_.bytes() > largest_total.bytes()) {
        return Problem{fmt::format("the files of this recipe hold more than {} together", to_string(largest_total)),
                       "fetch large files in a `run` step, or install them as a package"};
    }
    remember(relative, digest_of(content));
    return content;
}

Checked<LocatedFile> SourceFiles::digest_at(const std::string& name, const fs::path& path)
{
    std::error_code failed;
    if (!fs::is_regular_file(path, failed)) {
        return Problem{in_quotes(name) + " is not a regular file", "name a file"};
    }
    try {
        LocatedFile file{path, digest_of_file(path)};
        remember(name, file.digest);
        return file;
    } catch (const std::exception& error) {
        return unreadable(name, error.what());
    }
}

Checked<LocatedFile> SourceFiles::locate(const std::string& relative)
{
    auto path = resolve(relative, false);
    if (auto* problem = std::get_if<Problem>(&path)) {
        return std::move(*problem);
    }
    return digest_at(relative, std::get<fs::path>(path));
}

Checked<LocatedFile> SourceFiles::locate_anywhere(const std::string& path)
{
    auto found = resolve(path, path.starts_with('/'));
    if (auto* problem = std::get_if<Problem>(&found)) {
        return std::move(*problem);
    }
    return digest_at(path, std::get<fs::path>(found));
}

Checked<LocatedFile> SourceFiles::locate_layout(const std::string& path, const Digest& wanted)
{
    auto found = resolve(path, path.starts_with('/'));
    if (auto* problem = std::get_if<Problem>(&found)) {
        return std::move(*problem);
    }
    const auto& layout = std::get<fs::path>(found);
    std::error_code failed;
    if (!fs::is_regular_file(layout / "oci-layout", failed)) {
        return Problem{in_quotes(path) + " is not an OCI image layout",
                       "a folder with oci-layout, index.json and blobs/"};
    }
    const fs::path manifest = layout / "blobs/sha256" / wanted.hex();
    if (!fs::is_regular_file(fs::symlink_status(manifest, failed))) {
        return Problem{fmt::format("{} has no manifest {}", in_quotes(path), wanted.to_string()),
                       "index.json lists those that it has"};
    }
    try {
        const Digest digest = digest_of(read_file(manifest, largest_manifest));
        remember(path, digest);
        return LocatedFile{layout, digest};
    } catch (const std::exception& error) {
        return unreadable(path, error.what());
    }
}

std::vector<Input> SourceFiles::inputs() const
{
    std::vector<Input> inputs;
    for (const auto& [name, digest] : inputs_) {
        inputs.push_back({.name = name, .digest = digest});
    }
    return inputs;
}

} // namespace kiln::recipes
