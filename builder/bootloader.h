// SPDX-License-Identifier: Apache-2.0
// Makes a system that is in place bootable: host name, GRUB for BIOS or UEFI, serial console, a root that grows
// with its disk.
#pragma once

#include "builder/appliance.h"
#include "core/json.h"
#include "recipes/recipe.h"

#include <string>
#include <vector>

namespace kiln::builder
{

// What decides the result besides the file system below and the tools in it.
[[nodiscard]] Json boot_configuration(const recipes::Boot& boot);

// The Debian packages that it takes.
[[nodiscard]] std::vector<std::string> boot_packages(const recipes::Boot& boot);

// hosts and hostname where the image has none; the root partition takes what a larger disk offers.
void write_base_configuration(Appliance& appliance);

// For GRUB's package, whose updates in the running system write it to the disk that debconf knows of. A bootstrap
// has it from the start.
void remember_grub_disk(Appliance& appliance, const recipes::Boot& boot);

// GRUB on the first drive, with the guest's own tools, so that its kernel updates keep working.
void install_grub(Appliance& appliance, const recipes::Boot& boot);

} // namespace kiln::builder
