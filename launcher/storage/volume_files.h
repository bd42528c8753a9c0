// SPDX-License-Identifier: Apache-2.0
// Internal: how a volume's disk is made.
#pragma once

#include "core/byte_size.h"

#include <filesystem>
#include <stop_token>
#include <vector>

namespace kiln::launcher
{

// Makes the qcow2 file, without a backing-file string, and returns when it is on disk. `layers` are the AMI's, bottom
// first, of an image that was verified: their content is copied, so that the volume needs them no more. None: it is
// empty. Throws Error{no_space, io, missing_tool, interrupted}.
void create_volume_disk(const std::filesystem::path& disk, ByteSize size,
                        const std::vector<std::filesystem::path>& layers, const std::stop_token& stop);

} // namespace kiln::launcher
