// SPDX-License-Identifier: Apache-2.0
// From the copied disks of a running instance to a DiskSet.
#pragma once

#include "builder/disk_set.h"
#include "core/accelerator.h"
#include "core/progress.h"

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

// A point-in-time copy of one disk, as the launcher took it.
struct DiskCopy {
    std::string device;
    ByteSize size;
    bool delete_on_termination = true;
    std::vector<std::filesystem::path> layers; // bottom first
    std::filesystem::path delta;               // edited in place
};

struct SealOptions {
    Accelerator accelerator = Accelerator::tcg;
    std::filesystem::path work;    // a private folder; the layers end up in it
    std::filesystem::path cache;   // has the saved appliances
    std::filesystem::path sockets; // a private folder with a short path (UNIX sockets: 108 bytes)
};

// The root disk comes first. Throws what the parts throw (see appliance.h, block_server.h).
[[nodiscard]] DiskSet seal_copies(const std::vector<DiskCopy>& copies, const SealOptions& options, Progress& progress,
                                  const std::stop_token& stop);

} // namespace kiln::builder
