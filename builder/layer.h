// SPDX-License-Identifier: Apache-2.0
// Disk layers as they are published: qcow2, zstd clusters, no backing-file string.
#pragma once

#include "core/byte_size.h"

#include <filesystem>
#include <stop_token>

namespace kiln::builder
{

// A whole raw disk -> a layer.
void layer_from_raw(const std::filesystem::path& raw, const std::filesystem::path& layer, const std::stop_token& stop);

// The difference that `delta` (qcow2 without backing-file string) holds -> a layer. Clusters that
// are zero over a parent's data stay explicitly zero. `work` is a folder for a scratch file.
void layer_from_delta(const std::filesystem::path& delta, ByteSize disk_size, const std::filesystem::path& layer,
                      const std::filesystem::path& work, const std::stop_token& stop);

} // namespace kiln::builder
