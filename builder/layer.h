// SPDX-License-Identifier: Apache-2.0
// Disk layers as they are published: qcow2, zstd clusters, no backing-file string.
#pragma once

#include <filesystem>
#include <stop_token>

namespace kiln::builder
{

// A whole raw disk -> a layer.
void layer_from_raw(const std::filesystem::path& raw, const std::filesystem::path& layer, const std::stop_token& stop);

} // namespace kiln::builder
