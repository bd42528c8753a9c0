// SPDX-License-Identifier: Apache-2.0
// What apt and dpkg print when they fail -> the error that it tells of.
#pragma once

#include "core/error.h"

#include <string>
#include <string_view>

namespace kiln::builder
{

struct AptSubject {
    std::string archive;      // "debian bookworm": who has no such package
    std::string mirror;       // may be empty
    std::string network_hint; // what to do when it can't be reached
    std::string package_hint; // what to do when a package is missing
};

// Error{no_space, network, package}; the last lines of the log where it is none that is known.
[[nodiscard]] Error explain_apt_failure(std::string_view log, const AptSubject& subject);

// The same for the part that ran in the guest.
[[nodiscard]] Error explain_dpkg_failure(std::string_view log);

} // namespace kiln::builder
