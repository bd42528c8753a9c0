// SPDX-License-Identifier: Apache-2.0
#include "builder/flat_tree.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>

namespace kiln::builder
{
namespace
{

constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_name = ".wh..wh..opq";

[[noreturn]] void refuse(const Member& member, std::string_view why)
{
    throw Error(ErrorKind::untrusted, fmt::format("its member \"{}\": {}", printable(member.name, false), why));
}

std::string_view last_part(std::string_view name)
{
    return name.substr(name.rfind('/') + 1); // npos + 1 is 0
}

bool is_whiteout(const Member& member)
{
    const bool whiteout = last_part(member.name).starts_with(whiteout_prefix);
    if (whiteout && member.kind != MemberKind::file) {
        refuse(member, "a whiteout is a file");
    }
    return whiteout;
}

} // namespace

void FlatTree::remove_below(const std::string& folder)
{
    // '0' comes right after '/'.
    nodes_.erase(nodes_.lower_bound(folder + "/"), nodes_.lower_bound(folder + "0"));
}

void FlatTree::hide(const Member& whiteout)
{
    const std::string_view last = last_part(whiteout.name);
    const std::string folder = whiteout.name.substr(0, whiteout.name.size() - last.size()); // with its "/"
    if (last == opaque_name) {
        folder.empty() ? nodes_.clear() : remove_below(folder.substr(0, folder.size() - 1));
        return;
    }
    const std::string_view hidden = last.substr(whiteout_prefix.size());
    if (hidden.empty() || hidden == "." || hidden == ".." || hidden.starts_with(whiteout_prefix)) {
        refuse(whiteout, "it is a whiteout of nothing");
    }
    const std::string name = folder + std::string(hidden);
    remove_below(name);
    nodes_.erase(name);
}

// Of all layers: a member's own layer may know of the folder only by a whiteout in it.
void FlatTree::require_folders_above(const Member& member)
{
    for (std::size_t slash = member.name.find('/'); slash != std::string::npos;
         slash = member.name.find('/', slash + 1)) {
        const std::string folder = member.name.substr(0, slash);
        if (last_part(folder).starts_with(whiteout_prefix)) {
            refuse(member, "it is below a whiteout");
        }
        const Member made{.kind = MemberKind::folder, .name = folder, .time = member.time};
        const auto [place, added] = nodes_.emplace(folder, Node{.member = made, .layer = layers_});
        if (!added && place->second.member.kind != MemberKind::folder) {
            refuse(member, fmt::format("it is below \"{}\", which is no folder in the layers under it", folder));
        }
    }
}

void FlatTree::add_layer(const std::vector<Member>& members)
{
    // They hide nothing of their own layer, wherever they stand in it.
    for (const Member& member : members) {
        if (is_whiteout(member)) {
            hide(member);
        }
    }
    std::unordered_map<std::string, std::size_t> contents; // of this layer's files, links included
    for (std::size_t i = 0; i < members.size(); ++i) {
        const Member& member = members[i];
        if (is_whiteout(member)) {
            continue;
        }
        require_folders_above(member);
        if (member.kind == MemberKind::device) {
            continue;
        }
        const auto aim = contents.find(member.target);
        if (member.kind == MemberKind::hard_link && aim == contents.end()) {
            refuse(member, "it is a hard link to a whiteout");
        }
        const std::size_t content = member.kind == MemberKind::hard_link ? aim->second : i;
        contents.emplace(member.name, content);
        if (member.kind != MemberKind::folder) {
            remove_below(member.name);
        }
        nodes_.insert_or_assign(member.name, Node{.member = member, .layer = layers_, .content = content});
    }
    ++layers_;
}

std::vector<Member> FlatTree::folders_and_links() const
{
    std::vector<Member> found;
    for (const auto& [name, node] : nodes_) {
        if (node.member.kind == MemberKind::folder || node.member.kind == MemberKind::symbolic_link) {
            found.push_back(node.member);
        }
    }
    return found;
}

std::map<std::size_t, std::vector<std::string>> FlatTree::files_of(std::size_t layer) const
{
    std::map<std::size_t, std::vector<std::string>> files;
    for (const auto& [name, node] : nodes_) {
        const bool is_file = node.member.kind == MemberKind::file || node.member.kind == MemberKind::hard_link;
        if (is_file && node.layer == layer) {
            files[node.content].push_back(name);
        }
    }
    return files;
}

} // namespace kiln::builder
