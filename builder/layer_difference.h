// SPDX-License-Identifier: Apache-2.0
// Writes a layer of what a disk has and its base has not, by comparing content: what was written and is the same again,
// or was in the base's own top layers already, is not stored twice.
#pragma once

#include "builder/nbd_disk.h"
#include "core/byte_size.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

namespace kiln::builder
{

struct DifferenceOptions {
    std::optional<ByteSize> rate{};         // bytes a second that are read from `disk`, at most
    std::function<void(double)> progress{}; // the part that is done, 0 to 1
};

// `extents`: where one of the two may have what the other has not, in any order; only they are read and compared, in
// clusters of 64 KiB. `layer` is empty and has the disk's size. Returns the number of bytes that differ. Throws
// Error{io, no_space, interrupted}.
std::uint64_t write_difference(NbdDisk& disk, NbdDisk& base, std::vector<NbdDisk::Extent> extents, NbdDisk& layer,
                               const DifferenceOptions& options, const std::stop_token& stop);

// Extents of both, in order, widened to clusters and joined where they touch, none longer than `longest`. Pure.
[[nodiscard]] std::vector<NbdDisk::Extent> joined_extents(std::vector<NbdDisk::Extent> extents, std::uint64_t size,
                                                          std::uint64_t longest);

} // namespace kiln::builder
