// SPDX-License-Identifier: Apache-2.0
// Internal: block nodes of a running QEMU. Nodes of an instance's own overlays are called after their disk
// (qemu_command.h): "disk0", "disk0-3", or a volume's id where the volume came later, "vol-...", "vol-...-3".
#pragma once

#include "core/qmp_client.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace kiln::launcher
{

// The one place where a running QEMU gets to open a file. Throws Error{launch} with QEMU's words.
void add_node(QmpClient& qmp, const Json& node);
// Nothing happens when it is not there or in use.
void remove_node(QmpClient& qmp, const std::string& node) noexcept;

// The names of all nodes of a disk's overlays, the latest first.
[[nodiscard]] std::vector<std::string> nodes_of(QmpClient& qmp, const std::string& disk);

// What the guest reads and writes: the node on top, and how many are below that.
struct TopNode {
    std::string name;
    std::size_t below = 0;
};
// Of each of the disks that the guest has.
[[nodiscard]] std::map<std::string, TopNode> top_nodes(QmpClient& qmp, const std::vector<std::string>& disks);

} // namespace kiln::launcher
