// SPDX-License-Identifier: Apache-2.0
// What a build or a sealed snapshot yields: finished disk layers and what was read from them.
#pragma once

#include "core/byte_size.h"

#include <filesystem>
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

struct Volume {
    std::string device; // "/dev/vda"
    ByteSize size;
    std::string filesystem;
    std::string mount = "/";
    bool delete_on_termination = true;
    // The new layer: qcow2 with zstd clusters and no backing-file string. It holds the whole disk,
    // or what differs from the parent's layers. Lives in the build's work folder.
    std::filesystem::path layer;
};

struct DiskSet {
    std::vector<Volume> volumes; // the root volume first
    OperatingSystem os;
    std::vector<Package> packages; // sorted by name
};

} // namespace kiln::builder
