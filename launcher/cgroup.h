// SPDX-License-Identifier: Apache-2.0
// Internal: a control group (cgroup v2) for an instance's QEMU, where this user may make one: it ends what the guest
// can take of the host, whatever QEMU does. Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include "core/byte_size.h"

#include <filesystem>
#include <string>

namespace kiln::launcher
{

struct CgroupLimits {
    ByteSize memory; // of the guest; QEMU's own comes on top
    unsigned vcpus = 1;
};

struct CgroupAttempt {
    std::filesystem::path folder; // to join; empty: none could be made
    std::string reason;           // why not
};

// Below the group that this process is in, by the name kiln-ID; an old one is taken over. `root` is where cgroup v2 is
// mounted.
[[nodiscard]] CgroupAttempt make_cgroup(const std::string& id, const CgroupLimits& limits,
                                        const std::filesystem::path& root = "/sys/fs/cgroup");

// When its processes have ended. Never throws.
void remove_cgroup(const std::string& id, const std::filesystem::path& root = "/sys/fs/cgroup") noexcept;

} // namespace kiln::launcher
