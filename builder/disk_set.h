// SPDX-License-Identifier: Apache-2.0
// What a build or a sealed snapshot yields: finished disk layers and what was read from them.
#pragma once

#include "builder/lock_file.h"
#include "core/byte_size.h"
#include "core/digest.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct Package {
    std::string name;
    std::string version;
    std::string architecture;
};

struct OperatingSystem {
    std::string distribution; // "debian"
    std::string version;      // "12"
    std::string name;         // "Debian GNU/Linux 12 (bookworm)"
};

// The image's own account of itself.
struct Software {
    OperatingSystem os;
    std::vector<Package> packages; // sorted by name
};

// qcow2 with zstd clusters and no backing-file string.
struct FinishedLayer {
    std::filesystem::path file;
    std::optional<Digest> digest{}; // what its bytes must have, where that was recorded when they were written
};

// One file system of a volume: all of it, a partition, or a logical volume.
struct VolumeFileSystem {
    std::string type{};  // "ext4"
    std::string mount{}; // empty: not mounted, as swap
    std::string name{};  // of the partition or logical volume; empty: none
};

struct Volume {
    std::string device{}; // "/dev/vda"
    ByteSize size{};
    std::string type = "gp3"; // EC2's volume type
    bool encrypted = false;
    std::vector<VolumeFileSystem> file_systems{};
    bool delete_on_termination = true;
    // The new layers, bottom first, over the parent's where there is one. They live in the build's work folder.
    std::vector<FinishedLayer> layers{};
    // How many of the parent's layers, from the bottom, they lie on, where its chain was flattened; none: on all.
    std::optional<std::size_t> kept_below{};
};

struct DiskSet {
    std::vector<Volume> volumes; // the root volume first
    Software software;
    LockFile lock{}; // of the build: its inputs, and what its own layers installed
};

} // namespace kiln::builder
