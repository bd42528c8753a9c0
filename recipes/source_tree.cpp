// SPDX-License-Identifier: Apache-2.0
// A folder that a recipe names, with all that is in it. Symbolic links are taken as links, never followed.
#include "recipes/source_file.h"

#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t most_entries = 20'000;
constexpr ByteSize largest_trees = gibibytes(2);
constexpr int deepest_folder = 64;
constexpr std::size_t longest_path = 3072; // leaves room for the tree's own path in the guest

// Modes are as git keeps them, so that the umask of a checkout doesn't change the recipe's digest.
constexpr std::uint32_t file_mode = 0644;
constexpr std::uint32_t program_mode = 0755;
constexpr std::uint32_t folder_mode = 0755;
constexpr std::uint32_t link_mode = 0777;

// Whether the link at `path` (below the tree) has a relative target that leaves the tree by name.
bool leads_out(const std::string& path, const fs::path& target)
{
    if (target.is_absolute()) {
        return false; // a path of the guest's
    }
    auto depth = std::ranges::count(path, '/'); // of the folder that the link stands in
    for (const fs::path& part : target) {
        depth += part == ".." ? -1 : part.empty() || part == "." ? 0 : 1;
        if (depth < 0) {
            return true;
        }
    }
    return false;
}

// Names go into commands and logs of the build.
std::optional<Problem> check_name(const std::string& shown, const std::string& path)
{
    if (printable(path, false) != path || find_hidden_character(path, false)) {
        return Problem{
            fmt::format("{} has a control or invisible character in its name, or is not UTF-8", in_quotes(shown)),
            "rename it"};
    }
    if (path.size() > longest_path) {
        return Problem{in_quotes(shown) + " has too long a path", fmt::format("at most {} bytes", longest_path)};
    }
    return std::nullopt;
}

} // namespace

std::optional<Problem> SourceFiles::take_entry(const fs::directory_entry& found, const std::string& name,
                                               TreeStep::Entry& entry)
{
    if (auto problem = check_name(name, entry.path)) {
        return problem;
    }
    if (++tree_entries_ > most_entries) {
        return Problem{fmt::format("the trees of this recipe have more than {} entries", most_entries),
                       "put them into an archive"};
    }
    const fs::file_status status = found.symlink_status();
    if (fs::is_symlink(status)) {
        const fs::path target = fs::read_symlink(found.path());
        entry.kind = TreeStep::Entry::Kind::link;
        entry.target = target.native();
        entry.mode = link_mode;
        if (leads_out(entry.path, target)) {
            return Problem{
                fmt::format("the link {} leads out of the tree, to {}", in_quotes(name), in_quotes(entry.target)),
                "an absolute target names a path of the image"};
        }
        return check_name(name, entry.target);
    }
    if (fs::is_directory(status)) {
        entry.kind = TreeStep::Entry::Kind::folder;
        entry.mode = folder_mode;
        return std::nullopt;
    }
    if (!fs::is_regular_file(status)) {
        return Problem{in_quotes(name) + " is no regular file, folder or symbolic link", "remove it"};
    }
    const bool runs = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
    entry.mode = runs ? program_mode : file_mode;
    entry.source = found.path();
    entry.size = ByteSize(found.file_size());
    tree_total_ = tree_total_ + entry.size;
    if (tree_total_ > largest_trees) {
        return Problem{fmt::format("the trees of this recipe hold more than {}", to_string(largest_trees)),
                       "put them into an archive"};
    }
    entry.digest = digest_of_file(found.path());
    remember(name, *entry.digest);
    return std::nullopt;
}

Checked<std::vector<TreeStep::Entry>> SourceFiles::walk(const std::string& relative)
{
    auto resolved = resolve(relative, false);
    if (auto* problem = std::get_if<Problem>(&resolved)) {
        return std::move(*problem);
    }
    const auto& root = std::get<fs::path>(resolved);
    std::error_code failed;
    if (!fs::is_directory(root, failed)) {
        return Problem{in_quotes(relative) + " is not a folder", "a `file` step takes a single file"};
    }
    std::vector<TreeStep::Entry> entries;
    entries.push_back({.kind = TreeStep::Entry::Kind::folder, .mode = folder_mode});
    std::string name = relative;
    try {
        for (auto at = fs::recursive_directory_iterator(root); at != fs::recursive_directory_iterator(); ++at) {
            TreeStep::Entry entry;
            entry.path = at->path().lexically_relative(root).native();
            name = relative + "/" + entry.path;
            if (auto problem = take_entry(*at, name, entry)) {
                return std::move(*problem);
            }
            if (at.depth() >= deepest_folder) {
                return Problem{in_quotes(name) + " is too deep in the tree",
                               fmt::format("at most {} folders", deepest_folder)};
            }
            entries.push_back(std::move(entry));
        }
    } catch (const std::exception& error) {
        return Problem{fmt::format("{} can't be read: {}", in_quotes(name), shortened(error.what(), 200)),
                       "the user who builds must be able to read it"};
    }
    std::ranges::sort(entries, {}, &TreeStep::Entry::path);
    return entries;
}

} // namespace kiln::recipes
