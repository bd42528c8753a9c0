// SPDX-License-Identifier: Apache-2.0
// Internal: block nodes whose file QEMU gets as descriptors (docs/interop of QEMU 7.2: fdsets), as it may not open the
// instance's files itself. A file that is written to comes twice, as QEMU opens it anew where it only reads from now on
// (the lower one of a snapshot). The node's name is the `opaque` of its descriptors in QEMU.
#pragma once

#include "core/file_descriptor.h"
#include "core/qmp_client.h"

#include <string>
#include <vector>

namespace kiln::launcher
{

// What is below "file" of a node, as -blockdev and blockdev-add take it, opened. Empty where that is no file. Throws
// Error{not_found, permission_denied, io}.
[[nodiscard]] std::vector<FileDescriptor> open_file_of(const Json& node);
// The node with the descriptors of a set in that file's place.
[[nodiscard]] Json with_file_set(Json node, std::int64_t set);

// Adds a node, whose file is opened here, to a running QEMU. Throws as open_file_of and QmpClient::execute do; then
// nothing is left of it.
void add_block_node(QmpClient& qmp, const Json& node);
// Removes a node that nothing uses any more and closes its file, also one that was there from QEMU's start.
void remove_block_node(QmpClient& qmp, const std::string& name);

// A descriptor in a set of its own, until the destructor. QEMU opens `name()` in place of a file.
class PassedDescriptor
{
public:
    PassedDescriptor(QmpClient& qmp, int descriptor);
    ~PassedDescriptor();
    PassedDescriptor(const PassedDescriptor&) = delete;
    PassedDescriptor& operator=(const PassedDescriptor&) = delete;
    [[nodiscard]] std::string name() const;

private:
    QmpClient& qmp_;
    std::int64_t set_;
};

} // namespace kiln::launcher
