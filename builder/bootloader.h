// SPDX-License-Identifier: Apache-2.0
// Makes a bootstrapped disk bootable: partition table, fstab, host name, GRUB for BIOS, serial console.
#pragma once

#include "builder/appliance.h"
#include "core/byte_size.h"

#include <string>

namespace kiln::builder
{

// Writes the partition table around the root file system that is already in place, and mounts it.
void partition_and_mount(Appliance& appliance, const std::string& device, ByteSize disk_size);

// fstab by UUID, hosts and hostname where the image has none.
void write_base_configuration(Appliance& appliance, const std::string& filesystem, const std::string& filesystem_uuid);

// GRUB on the first drive, with the guest's own tools, so that its kernel updates keep working.
void install_grub(Appliance& appliance);

} // namespace kiln::builder
