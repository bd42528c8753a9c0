// SPDX-License-Identifier: Apache-2.0
// What two images differ in: packages, files, users, services. Both are read by libguestfs in one appliance; nothing of
// either runs.
#pragma once

#include "builder/disk_set.h"
#include "core/accelerator.h"
#include "core/byte_size.h"
#include "core/json.h"
#include "core/progress.h"

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::builder
{

// One disk of an image: qcow2 layers, bottom first, that are read only.
struct ImageDisk {
    ByteSize size;
    std::vector<std::filesystem::path> layers;
};

struct PackageChange {
    std::string name;
    std::string architecture;
    std::string from; // a version; empty: added
    std::string to;   // empty: removed
};

struct FileChange {
    enum class Kind { added, removed, changed };
    Kind kind = Kind::changed;
    std::string path{};    // absolute; folders too
    std::string package{}; // of those that changed, whose file it is; empty: none
    bool state = false;    // what package managers and services write by themselves: logs, caches, indexes
};

struct ImageDiff {
    std::vector<PackageChange> packages{};
    std::vector<FileChange> files{}; // by path
    std::vector<std::string> users_added{};
    std::vector<std::string> users_removed{};
    std::vector<std::string> services_enabled{}; // units
    std::vector<std::string> services_disabled{};
    std::int64_t size_change = 0; // bytes of all files
};

struct DiffOptions {
    Accelerator accelerator = Accelerator::tcg;
    std::filesystem::path work; // private folders, as in seal_copies.h
    std::filesystem::path cache;
    std::filesystem::path sockets;
};

// The root disk comes first in both. Throws Error{step_failed} where one of them has no system that libguestfs knows,
// and what the parts throw (see appliance.h, block_server.h).
[[nodiscard]] ImageDiff diff_images(const std::vector<ImageDisk>& before, const std::vector<ImageDisk>& after,
                                    const DiffOptions& options, Progress& progress, const std::stop_token& stop);

// The comparison of what was read. Pure, for its tests.
[[nodiscard]] std::vector<PackageChange> diff_packages(const std::vector<Package>& before,
                                                       const std::vector<Package>& after);

[[nodiscard]] Json to_json(const ImageDiff& diff);

} // namespace kiln::builder
