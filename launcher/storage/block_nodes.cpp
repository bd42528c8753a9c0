// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/block_nodes.h"

#include "core/error.h"
#include "launcher/block_node.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kiln::launcher
{
namespace
{

// "disk0-3" is number 3 of "disk0", "disk0" is number 0; nullopt: it is another disk's, or one of an AMI's layers.
std::optional<unsigned> number_of(const std::string& node, const std::string& disk)
{
    if (node == disk) {
        return 0;
    }
    if (!node.starts_with(disk + "-")) {
        return std::nullopt;
    }
    unsigned number = 0;
    const char* end = node.data() + node.size();
    const auto [read, error] = std::from_chars(node.data() + disk.size() + 1, end, number);
    return error == std::errc() && read == end ? std::optional(number) : std::nullopt;
}

} // namespace

void add_node(QmpClient& qmp, const Json& node)
{
    add_block_node(qmp, node);
}

void remove_node(QmpClient& qmp, const std::string& node) noexcept
{
    try {
        remove_block_node(qmp, node);
    } catch (const std::exception&) { // as said, or QEMU has gone
    }
}

std::vector<std::string> nodes_of(QmpClient& qmp, const std::string& disk)
{
    std::map<unsigned, std::string, std::greater<>> found;
    for (const Json& node : qmp.execute("query-named-block-nodes", {{"flat", true}})) {
        const std::string name = string_member(node, "node-name", "QEMU's answer");
        if (const auto number = number_of(name, disk)) {
            found[*number] = name;
        }
    }
    std::vector<std::string> names;
    std::ranges::transform(found, std::back_inserter(names), [](const auto& one) { return one.second; });
    return names;
}

std::map<std::string, TopNode> top_nodes(QmpClient& qmp, const std::vector<std::string>& disks)
{
    std::map<std::string, TopNode> found;
    for (const Json& device : qmp.execute("query-block")) {
        if (!device.is_object() || !device.contains("inserted")) {
            continue;
        }
        const Json& inserted = device.at("inserted");
        const std::string top = string_member(inserted, "node-name", "QEMU's answer");
        const auto disk =
            std::ranges::find_if(disks, [&](const std::string& one) { return number_of(top, one).has_value(); });
        if (disk != disks.end()) {
            found[*disk] = {top,
                            static_cast<std::size_t>(integer_member(inserted, "backing_file_depth", "QEMU's answer"))};
        }
    }
    return found;
}

} // namespace kiln::launcher
