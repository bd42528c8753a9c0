// SPDX-License-Identifier: Apache-2.0
// Internal: starts an instance's QEMU with as little as it can do with: the instance's files as descriptors, another
// user where Kiln runs as root, no capability, and a control group.
#pragma once

#include "core/file_descriptor.h"
#include "launcher/confinement.h"
#include "launcher/instance.h"

#include <filesystem>
#include <sys/types.h>

namespace kiln::launcher
{

// What QEMU is to run in, made before anything else of the instance runs.
struct QemuPlace {
    Confinement confinement;
    Json confined; // for people: {"user": "nobody", "user_reason": null, "capabilities": "none", "cgroup": ..., ...}
};
[[nodiscard]] QemuPlace prepare_place(const Paths& paths, const Instance& instance, const InstancePaths& files);

// Returns its pid, which is in files.pid_file too. `memory`: of a clone or of what becomes a template
// (warm/guest_memory.h). Throws as pass_files and start_detached do.
[[nodiscard]] pid_t start_qemu(const Instance& instance, const InstancePaths& files, const QemuPlace& place,
                               const std::filesystem::path& log, const FileDescriptor& memory = {});

} // namespace kiln::launcher
