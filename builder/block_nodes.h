// SPDX-License-Identifier: Apache-2.0
// Internal: block nodes as qemu-storage-daemon takes them. Formats are explicit, chains are spelled out node by node,
// and a layer's own backing-file field is never looked at. Nothing is flushed: whoever keeps a file makes it durable,
// once; a build that is killed is thrown away.
#pragma once

#include "core/byte_size.h"
#include "core/json.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::builder
{

[[nodiscard]] Json raw_node(const std::string& name, const std::filesystem::path& file, bool read_only);
// `backing`: a node's name, or null for none.
[[nodiscard]] Json qcow2_node(const std::string& name, const std::filesystem::path& file, bool read_only,
                              const Json& backing);
[[nodiscard]] Json nbd_export(const std::string& name, const std::string& node, bool writable);

// A new, empty qcow2 file; `options` are of `qemu-img create`. Throws Error{io, no_space}.
void create_overlay(const std::filesystem::path& file, ByteSize size, const std::vector<std::string>& options = {});
// The same as an AMI's layer is: with zstd clusters.
void create_layer(const std::filesystem::path& file, ByteSize size);

} // namespace kiln::builder
