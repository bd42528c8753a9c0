// SPDX-License-Identifier: Apache-2.0
// Internal: what a process of an instance may do of what its user may. Applied by the process itself, between fork and
// exec, or by a helper at its start.
#pragma once

#include "core/paths.h"
#include "launcher/service_user.h"

#include <filesystem>
#include <optional>
#include <string>

namespace kiln::launcher
{

struct Confinement {
    // Started as root, it keeps no capability, and gets none by exec any more.
    bool drop_capabilities = false;
    std::optional<ServiceUser> user{}; // whom it becomes; else it keeps root's files
    int kept_capability = -1;          // but this one, CAP_...
    std::filesystem::path cgroup{};    // which it joins (cgroup.h); empty: none
    std::string kept{};                // why root keeps its capabilities; empty: it does not, or is not root
};

// Of every process of an instance: no core file, which would be a copy of the guest's memory, and a bounded number of
// open files. Capabilities stay where the home belongs to another user than root, whose files root could not open then.
[[nodiscard]] Confinement confinement_of(const Paths& paths);
// The same for the network helper. Where it starts a VPC's holder, root's is to be mapped into a user namespace, which
// takes CAP_SETFCAP (user_namespaces(7)).
[[nodiscard]] Confinement helper_confinement(const Paths& paths, bool in_vpc);

// Async-signal-safe. False when something was refused; then the process must not go on.
[[nodiscard]] bool confine_this_process(const Confinement& confinement) noexcept;

} // namespace kiln::launcher
