// SPDX-License-Identifier: Apache-2.0
// From the disks of an instance at one moment to a DiskSet.
#pragma once

#include "builder/disk_set.h"
#include "core/accelerator.h"
#include "core/progress.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

// One disk at the moment of a snapshot, as the launcher took it. All its files are read only.
struct FrozenVolume {
    std::string device;
    ByteSize size;
    bool delete_on_termination = true;
    std::vector<std::filesystem::path> layers;   // of the instance's AMI, bottom first
    std::vector<std::filesystem::path> overlays; // the instance's own over them, bottom first
    std::vector<std::filesystem::path> base;     // what the new layer goes on: `layers`, or an earlier snapshot's
};

struct SealOptions {
    Accelerator accelerator = Accelerator::tcg;
    std::filesystem::path work;     // a private folder; the layers end up in it
    std::filesystem::path cache;    // has the saved appliances
    std::filesystem::path sockets;  // a private folder with a short path (UNIX sockets: 108 bytes)
    bool exact = false;             // nothing is scrubbed, and nothing read from the file systems: no `software`
    std::optional<ByteSize> rate{}; // bytes a second that are read, at most
};

// The empty layers that seal_copies fills, where the disks are of these sizes: they can be made while the disks are
// being frozen. Those that are not there are made then. Throws what create_layer() throws.
void make_empty_layers(const std::vector<ByteSize>& sizes, const std::filesystem::path& work);

// The root disk comes first. Throws what the parts throw (see appliance.h, block_server.h).
[[nodiscard]] DiskSet seal_copies(const std::vector<FrozenVolume>& volumes, const SealOptions& options,
                                  Progress& progress, const std::stop_token& stop);

} // namespace kiln::builder
