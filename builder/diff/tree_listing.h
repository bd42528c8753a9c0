// SPDX-License-Identifier: Apache-2.0
// Internal: listings of two trees, as the appliance makes them, and what they differ in. Pure; the text is hostile.
#pragma once

#include "builder/diff/image_diff.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// find(1)'s -printf format of an entry, which ends with a NUL.
inline constexpr const char* listing_format = R"(%y %m %U:%G %s %T@ %C@ %P\0)";

struct TreeEntry {
    char type = '?'; // find's: f, d, l, ...
    std::string mode;
    std::string owner;
    std::int64_t size = 0;
};
// By path, without a leading "/".
using Tree = std::map<std::string, TreeEntry>;

// Entries that are not as the format says are left out.
[[nodiscard]] Tree parse_listing(std::string_view text);

// What a size's change is cut at, either way, as a bundle's manifest takes no more. A sparse file has any size.
inline constexpr std::int64_t largest_size_change = std::int64_t{1} << 50U;

struct TreeDiff {
    std::vector<FileChange> files;          // by path; `package` and `state` are not set
    std::vector<std::string> same_metadata; // regular files and symbolic links whose content has to be compared
    std::int64_t size_change = 0;
};
// `before` and `after`: those entries that are not exactly the same in both listings.
[[nodiscard]] TreeDiff diff_trees(const Tree& before, const Tree& after);

// sha256sum -z or readlink -z, one answer a path: "HEX  ./PATH\0"; by path.
[[nodiscard]] std::map<std::string, std::string> parse_digests(std::string_view text);

// "@NAME" and a package's list of files, and so on: whose each path is.
[[nodiscard]] std::map<std::string, std::string> parse_owned(std::string_view text);

// Whether `path` is what programs keep for themselves: logs, caches, package indexes.
[[nodiscard]] bool is_state(std::string_view path);

// The unit of a link that enables it ("/etc/systemd/system/multi-user.target.wants/ssh.service"), or "".
[[nodiscard]] std::string enabled_unit(std::string_view path);

} // namespace kiln::builder
