// SPDX-License-Identifier: Apache-2.0
// Internal: the account as which QEMU runs where Kiln runs as root, and whether it can. It needs nothing of the host's:
// what it opens is passed to it (passed_files.h).
#pragma once

#include "core/accelerator.h"

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace kiln::launcher
{

struct ServiceUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::optional<gid_t> device_group{}; // of /dev/kvm, where it takes that to open it; its only other group
};

struct ServiceUserChoice {
    std::optional<ServiceUser> user;
    std::string reason{}; // why there is none; empty where Kiln does not run as root
};

// $KILN_SERVICE_USER, else the account `kiln` where the host has it, else `nobody`. None for "root", and where it was
// tried and this process may not become it, or it may not run `program` or open the accelerator. Throws Error{usage}
// for a name that the host does not know.
[[nodiscard]] ServiceUserChoice find_service_user(const std::filesystem::path& program, Accelerator accelerator);

// Becomes it, with no other groups. Async-signal-safe; in the only thread of a child. False when it was refused.
[[nodiscard]] bool become(const ServiceUser& user) noexcept;

} // namespace kiln::launcher
