// SPDX-License-Identifier: Apache-2.0
// What somebody who reads of a failed launch or test wants to see of the guest.
#pragma once

#include "core/paths.h"
#include "launcher/instance.h"

#include <cstddef>
#include <filesystem>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// The console's last lines, printable. Never throws an Error.
[[nodiscard]] std::string console_tail(const InstancePaths& files, std::size_t lines);

// What a guest that failed can still tell. Texts are printable; where something can't be had, they say why.
struct Diagnosis {
    std::string failed_units; // systemd's, ends with a newline
    std::string journal;      // warnings and worse of this boot, its last lines
    std::string console;      // the last lines
    std::string screen;       // PNG; empty: there is none

    [[nodiscard]] std::string text() const; // all but the picture
};

// Throws only Error{interrupted}.
[[nodiscard]] Diagnosis diagnose(const Paths& paths, const Instance& instance, const std::stop_token& stop);

// Writes failed-units.txt, journal.txt, console.log (all of it, its control characters made visible) and screen.png
// into the folder, which is made. Throws Error{io, no_space, permission_denied}.
void save_diagnosis(const Diagnosis& diagnosis, const InstancePaths& files, const std::filesystem::path& folder);

} // namespace kiln::launcher
