// SPDX-License-Identifier: Apache-2.0
// Copies out of a mounted guest what decides its choice of packages: sources, keys, pins, dpkg's status.
// Everything there is hostile: only regular files of bounded size are read, and apt.conf never.
#pragma once

#include "builder/appliance.h"
#include "builder/host_apt.h"

namespace kiln::builder
{

struct GuestAptReport {
    GuestApt apt;
    std::vector<std::string> ignored; // what was left out, and why
};

// Throws Error{package} where the guest has no dpkg or no archive that can be used.
[[nodiscard]] GuestAptReport read_guest_apt(Appliance& appliance);

} // namespace kiln::builder
