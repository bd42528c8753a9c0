// SPDX-License-Identifier: Apache-2.0
// Makes a bootstrapped disk bootable: partition table, fstab, host name, GRUB for BIOS, serial console.
#pragma once

#include "builder/appliance.h"
#include "core/byte_size.h"
#include "core/json.h"

#include <string>

namespace kiln::builder
{

// What decides the result besides the file system below and the tools in it.
[[nodiscard]] Json boot_configuration();

// Writes the partition table around the root file system that is already in place.
void write_partition_table(Appliance& appliance, ByteSize disk_size);

// fstab by UUID, hosts and hostname where the image has none.
void write_base_configuration(Appliance& appliance, const std::string& filesystem, const std::string& filesystem_uuid);

// GRUB on the first drive, with the guest's own tools, so that its kernel updates keep working.
void install_grub(Appliance& appliance);

} // namespace kiln::builder
