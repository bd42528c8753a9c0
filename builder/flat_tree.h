// SPDX-License-Identifier: Apache-2.0
// The layers of a container image laid over one another, by their members alone: what is left of each one in the
// end. Whiteouts as the OCI image specification has them (layer.md): ".wh.NAME" hides what lower layers have at NAME,
// ".wh..wh..opq" all that they have in its folder. No input or output.
#pragma once

#include "core/archive_io.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kiln::builder
{

class FlatTree
{
public:
    // A layer's members in their order, over the layers before. Throws Error{untrusted} that names the member for
    // a whiteout of nothing, and for one below what a lower layer has as a file or link.
    void add_layer(const std::vector<Member>& members);

    // Folders and symbolic links, each folder before what is in it.
    [[nodiscard]] std::vector<Member> folders_and_links() const;

    // Of a layer, for each member (by its place) whose content is left the names that it has in the end, at least one.
    [[nodiscard]] std::map<std::size_t, std::vector<std::string>> files_of(std::size_t layer) const;

private:
    struct Node {
        Member member{};
        std::size_t layer = 0;
        std::size_t content = 0; // the place of the member with the file's content
    };

    void hide(const Member& whiteout);
    void remove_below(const std::string& folder);
    void require_folders_above(const Member& member);

    std::map<std::string, Node> nodes_;
    std::size_t layers_ = 0;
};

} // namespace kiln::builder
